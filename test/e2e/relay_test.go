package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"borealis/internal/app"
)

// During a move both receive: devices that have not claimed through the old server, which stands for the vendor, the others here. Each
// push arrives once, although this server is killed with pushes on their way.
func TestBothReceiveDuringAMove(t *testing.T) {
	t.Parallel()
	vendor := Start(t, nil)
	old := vendor.NewApp(t)
	const count = 6
	var (
		text  strings.Builder
		ids   []string
		there []<-chan frame
	)
	text.WriteString("registration_id,tags\n")
	for range count {
		d := vendor.Register(t, old, "android")
		_, got := connectV3(t, vendor.MQTT, old, d)
		ids, there = append(ids, d.RegistrationID), append(there, got)
		text.WriteString(d.RegistrationID + ",vip\n")
	}
	file := filepath.Join(t.TempDir(), "devices.csv")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	here := NewProcess(t, t.TempDir())
	here.Start(t)
	if out, err := here.borealis(t, "import", "jpush", "--app-key", old.Key, "--secret", old.Secret, "--create", "--jpush-url", vendor.URL, file); err != nil {
		t.Fatalf("import: %v\n%s", err, out)
	}
	here.SetApp(t, old, app.AdminChange{Name: "relay_jpush", Value: "true"}, app.AdminChange{Name: "offline_messages", Value: "0"})
	const rounds, each = 4, 25
	sent := map[string]bool{} // by text
	for round := range rounds {
		for i := range each {
			alert := fmt.Sprintf("%d/%d", round, i)
			here.push(t, old, notification(map[string]any{"tag": []string{"vip"}}, alert))
			sent[alert] = true
		}
		here.Kill()
		here.Start(t)
	}
	for i, got := range there {
		seen := map[string]int{}
		for len(seen) < len(sent) {
			seen[next(t, got).Alert]++
		}
		for alert := range sent {
			if seen[alert] != 1 {
				t.Errorf("device %d received %q %d times", i, alert, seen[alert])
			}
		}
	}
	// One moves: it receives here from now on, and there no more.
	d := here.claim(t, old, "0b0e5c4e-8f6c-4a76-9c6b-000000000001", ids[0])
	_, moved := connectV3(t, here.MQTT, old, d)
	msg := here.push(t, old, notification(map[string]any{"registration_id": ids}, "after"))
	for {
		if f := next(t, moved); f.Alert == "after" {
			break
		}
	}
	if f := next(t, there[1]); f.Alert != "after" {
		t.Errorf("received %+v", f)
	}
	select {
	case f := <-there[0]:
		t.Errorf("the old version of the device that moved received %+v", f)
	default:
	}
	// What the vendor accepted is neither delivered nor failed nor owed here.
	var funnel struct {
		Total struct {
			Delivered int64            `json:"delivered"`
			Failed    map[string]int64 `json:"failed"`
		} `json:"total"`
		Relayed struct{ Devices, Accepted int64 } `json:"relayed"`
	}
	Eventually(t, "the vendor's targets are settled", func() error {
		here.Call(t, old, http.MethodGet, "/api/v1/apps/"+old.Key+"/messages/"+msg, nil, &funnel)
		if funnel.Total.Delivered != 1 || len(funnel.Total.Failed) != 0 || funnel.Relayed.Devices != count-1 || funnel.Relayed.Accepted != count-1 {
			return fmt.Errorf("funnel %+v", funnel)
		}
		return nil
	})
	late := here.claim(t, old, "0b0e5c4e-8f6c-4a76-9c6b-000000000002", ids[2])
	_, got := connectV3(t, here.MQTT, old, late)
	here.push(t, old, notification(to(ids[2]), "last"))
	if f := next(t, got); f.Alert != "last" {
		t.Errorf("a device that moved late received %q, which the vendor had accepted", f.Alert)
	}
	here.Terminate(t)
}
