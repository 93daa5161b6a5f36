package edge

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sendNow hands b to a non-blocking socket and returns how much of it the kernel took; 0 when it takes nothing now or
// the socket is broken, which whoever writes the rest finds out.
//
// It is send(2), which is cheaper than write(2) by the file layer, and not announced to the Go scheduler: it does not
// wait, and announcing it costs more than its own way into the kernel.
func sendNow(fd int, b []byte) int {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)),
			unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
		switch errno {
		case 0:
			return int(n)
		case syscall.EINTR:
		default:
			return 0
		}
	}
}
