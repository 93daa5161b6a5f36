package loadtest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Report is the outcome of a run.
type Report struct {
	// Devices connected, Messages per round of a broadcast, Size of a message on the wire in bytes (payload).
	Devices  int    `json:"devices"`
	Messages int    `json:"messages,omitempty"`
	Size     int    `json:"message_bytes,omitempty"`
	CPUs     int    `json:"cpus"`
	System   string `json:"system"`
	// Peer is the peer's name and version, empty without one.
	Peer string `json:"peer,omitempty"`
	Rows []Row  `json:"rows"`
	// Notes say what a reader has to know, Problems what went wrong: a figure of a round with a problem is not good.
	Notes    []string `json:"notes,omitempty"`
	Problems []string `json:"problems,omitempty"`
}

// Row is one figure, of us and, where there is one, of the peer.
type Row struct {
	Section string   `json:"section"`
	Name    string   `json:"name"`
	Unit    string   `json:"unit"`
	Ours    *float64 `json:"ours,omitempty"`
	Peer    *float64 `json:"peer,omitempty"`
	// Ratio is Ours/Peer.
	Ratio *float64 `json:"ratio,omitempty"`
}

// side says whose figure it is.
type side int

const (
	ours side = iota
	theirs
)

// String is the name in problems.
func (s side) String() string {
	if s == ours {
		return "borealis"
	}
	return PeerName
}

// set puts a figure into its row.
func (r *Report) set(s side, section, name, unit string, value float64) {
	row := r.row(section, name, unit)
	if s == ours {
		row.Ours = &value
	} else {
		row.Peer = &value
	}
	if row.Ours != nil && row.Peer != nil && *row.Peer != 0 {
		ratio := *row.Ours / *row.Peer
		row.Ratio = &ratio
	}
}

func (r *Report) row(section, name, unit string) *Row {
	after := len(r.Rows)
	for i := range r.Rows {
		if r.Rows[i].Section != section {
			continue
		}
		if after = i + 1; r.Rows[i].Name == name {
			return &r.Rows[i]
		}
	}
	r.Rows = append(r.Rows, Row{})
	copy(r.Rows[after+1:], r.Rows[after:])
	r.Rows[after] = Row{Section: section, Name: name, Unit: unit}
	return &r.Rows[after]
}

func (r *Report) notef(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

func (r *Report) problemf(format string, args ...any) {
	r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
}

func newReport(o *Options) *Report {
	return &Report{
		Devices: o.Devices, Messages: o.Messages, Size: o.Size, CPUs: runtime.NumCPU(), System: runtime.GOOS + "/" + runtime.GOARCH + " " + runtime.Version(),
	}
}

// WriteJSON writes the report as one JSON document.
func (r *Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// WriteTable writes the report for people.
func (r *Report) WriteTable(w io.Writer) error {
	table := [][]string{}
	for i := range r.Rows {
		row := &r.Rows[i]
		if i == 0 || r.Rows[i-1].Section != row.Section {
			table = append(table, nil, []string{strings.ToUpper(row.Section), "borealis", cmp.Or(r.Peer, "no peer"), "ours/peer"})
		}
		table = append(table, []string{"  " + row.Name + ", " + row.Unit, figure(row.Ours), figure(row.Peer), figure(row.Ratio)})
	}
	var widths [4]int
	for _, line := range table {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var out strings.Builder
	fmt.Fprintf(&out, "%d devices, ", r.Devices)
	if r.Size > 0 {
		fmt.Fprintf(&out, "messages of %d bytes, ", r.Size)
	}
	fmt.Fprintf(&out, "%d CPUs, %s\n", r.CPUs, r.System)
	for _, line := range table {
		for i, cell := range line {
			if i == 0 {
				fmt.Fprintf(&out, "%-*s", widths[i], cell)
			} else {
				fmt.Fprintf(&out, "  %*s", widths[i], cell)
			}
		}
		out.WriteByte('\n')
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&out, "\nNote: %s.\n", n)
	}
	for _, p := range r.Problems {
		fmt.Fprintf(&out, "\nPROBLEM: %s.\n", p)
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// figure writes a number with three significant digits, thousands in full.
func figure(v *float64) string {
	switch {
	case v == nil:
		return "-"
	case *v >= 100 || *v <= -100:
		return group(strconv.FormatFloat(*v, 'f', 0, 64))
	case *v >= 10:
		return strconv.FormatFloat(*v, 'f', 1, 64)
	case *v >= 0.095 || *v == 0:
		return strconv.FormatFloat(*v, 'f', 2, 64)
	}
	return strconv.FormatFloat(*v, 'g', 2, 64)
}

// group puts commas between thousands.
func group(digits string) string {
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}
