package dbtest

import "syscall"

// deathSignal makes the server stop when the test binary is killed.
func deathSignal(c *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: c, Pdeathsig: syscall.SIGQUIT}
}
