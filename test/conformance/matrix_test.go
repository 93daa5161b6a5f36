package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// calls are the rows of the matrix, in the order in which they are tried.
var calls = slices.Concat(pushCalls, deviceCalls, reportCalls, scheduleCalls, fileCalls, accountCalls)

const (
	matrixBegin = "<!-- what follows is written by `make gen-compat` -->"
	matrixEnd   = "<!-- what was written by `make gen-compat` ends here -->"
)

// checkMatrix compares what ran with the table in docs/compatibility.md, or with UPDATE=1 writes it there.
func checkMatrix(t *testing.T, outcomes map[string]map[string]string) {
	t.Helper()
	if t.Failed() || slices.ContainsFunc(sdks, func(l sdk) bool { return outcomes[l.name] == nil && !l.rare }) {
		t.Logf("Not compared with docs/compatibility.md, as not all passed:\n%s", matrix(outcomes))
		return
	}
	for _, library := range sdks {
		if library.of == "" {
			continue
		}
		for _, c := range calls {
			if got, want := outcomes[library.name][c.name], outcomes[library.of][c.name]; got != want {
				t.Errorf("%s: %s is %s with %s", c.name, library.name, got, library.of)
			}
		}
	}
	path := filepath.Join("..", "..", "docs", "compatibility.md")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(data), matrixBegin+"\n")
	committed, after, ends := strings.Cut(rest, matrixEnd)
	if !begins || !ends {
		t.Fatalf("%s has no lines %q and %q", path, matrixBegin, matrixEnd)
	}
	ran := matrix(outcomes)
	for _, library := range sdks {
		if outcomes[library.name] == nil { // its column stays what it was
			ran, committed = withoutColumn(ran, library.name), withoutColumn(committed, library.name)
			if os.Getenv("UPDATE") != "" {
				t.Fatalf("%s did not run, so the table cannot be written", library.name)
			}
		}
	}
	if committed == ran {
		return
	}
	if os.Getenv("UPDATE") == "" {
		t.Errorf("the table in docs/compatibility.md is not what ran; write it with make gen-compat:\n%s", ran)
		return
	}
	if err := os.WriteFile(path, []byte(before+matrixBegin+"\n"+ran+matrixEnd+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// matrix is the table of calls and libraries, with the libraries' own bugs below.
func matrix(outcomes map[string]map[string]string) string {
	var out, notes strings.Builder
	var columns []sdk
	head, rule := "| call |", "|---|"
	for _, library := range sdks {
		if library.of == "" {
			columns = append(columns, library)
			head, rule = head+" "+library.name+" |", rule+"---|"
		}
	}
	fmt.Fprintf(&out, "\n%s\n%s\n", head, rule)
	numbers := map[string]int{}
	for _, c := range calls {
		fmt.Fprintf(&out, "| %s |", c.title)
		for _, library := range columns {
			cell := map[string]string{"pass": "yes", "absent": "–", "fail": "FAILS", "": "?"}[outcomes[library.name][c.name]]
			if outcomes[library.name][c.name] == "bug" {
				reason := library.name + ": " + library.bugs[c.name].reason
				if numbers[reason] == 0 {
					numbers[reason] = len(numbers) + 1
					fmt.Fprintf(&notes, "%d. %s.\n", numbers[reason], reason)
				}
				cell = fmt.Sprintf("its bug %d", numbers[reason])
			}
			fmt.Fprintf(&out, " %s |", cell)
		}
		out.WriteString("\n")
	}
	return out.String() + "\n" + notes.String() + "\n"
}

// withoutColumn is a table without the column of a library.
func withoutColumn(table, library string) string {
	var out strings.Builder
	column := -1
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if column < 0 {
			column = slices.IndexFunc(cells, func(cell string) bool { return strings.TrimSpace(cell) == library })
		}
		if column >= 0 && column < len(cells) && strings.HasPrefix(line, "|") {
			line = strings.Join(slices.Delete(cells, column, column+1), "|")
		}
		out.WriteString(line)
	}
	return out.String()
}

// notRun ends the test of a library that cannot be had here, and notes it where `make test` counts what did not run.
func notRun(t testing.TB, library string, why error) {
	t.Helper()
	note := filepath.Join("..", "..", "bin", "not-run")
	if err := os.MkdirAll(filepath.Dir(note), 0o755); err != nil {
		t.Fatal(err)
	}
	text, _, _ := strings.Cut(why.Error(), "\n")
	if err := os.WriteFile(note, []byte(library+": "+text+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Skipf("%s DID NOT RUN: %s", library, text)
}
