package loadtest

import "syscall"

// dieWithUs makes a child end when this process does, however that happens.
func dieWithUs() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
