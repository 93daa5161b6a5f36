package phone

import (
	"encoding/json"
	"net/http"

	"borealis/internal/kernel/clock"
)

// Deps are what every simulator is made of.
type Deps struct {
	Phones *Network
	Faults *Faults
	Clock  clock.Clock
}

// Simulator is a push service of a vendor as its clients see it: it checks whatever the vendor's documents say that is
// checked, and refuses with the vendor's codes. It serves the paths of all hosts of the vendor.
type Simulator interface {
	http.Handler
	// Channel is the name of the vendor.
	Channel() string
	// Credentials that it takes, as the vendor's package reads them.
	Credentials() json.RawMessage
	// FaultNames are what Faults may name, each a documented way to fail.
	FaultNames() []string
}

// Reporter is a Simulator that tells a server what became of messages, as the vendor does.
type Reporter interface {
	// ReportTo names the address of the server; empty: none.
	ReportTo(url string)
}
