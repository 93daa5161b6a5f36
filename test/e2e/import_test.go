package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"borealis/internal/app"
	"borealis/internal/engine/device"
)

// borealis runs a command against a server's data directory and returns what it prints.
func (p *Process) borealis(t *testing.T, args ...string) (string, error) {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(path, append(args, "--data-dir", p.dataDir)...).CombinedOutput()
	return string(out), err
}

// claim registers an installation as the device that was imported under an old id, as a new version of the app does.
func (n *Node) claim(t *testing.T, c Credentials, installID, oldID string) Device {
	t.Helper()
	signature, err := device.Sign(c.Secret, device.Claims{InstallID: installID, ImportedID: oldID, Exp: time.Now().Add(time.Hour).UnixMilli()})
	if err != nil {
		t.Fatal(err)
	}
	var d Device
	status := n.Call(t, Credentials{}, http.MethodPost, "/device/v1/register", map[string]any{
		"app_key": c.Key, "platform": "android", "install_id": installID, "imported_id": oldID, "signature": signature}, &d)
	if status != http.StatusOK {
		t.Fatalf("claim: status %d", status)
	}
	return d
}

type compatDevice struct {
	Tags   []string `json:"tags"`
	Alias  string   `json:"alias"`
	Mobile string   `json:"mobile"`
}

// An app moves from one server, which stands for the vendor, to another: its devices are imported with what the vendor's REST API
// says of them, the app's backend changes nothing but the base URL, and a device of the old ids gets what it was owed.
func TestAppMovesFromOneServerToAnother(t *testing.T) {
	t.Parallel()
	vendor := Start(t, nil)
	old := vendor.NewApp(t)
	var ids []string
	for i := range 3 {
		d := vendor.Register(t, old, "android")
		ids = append(ids, d.RegistrationID)
		body := map[string]any{"alias": fmt.Sprintf("user%d", i), "tags": map[string]any{"add": []string{"vip"}}, "mobile": "13800000000"}
		if status := vendor.Call(t, old, http.MethodPost, "/v3/devices/"+d.RegistrationID, body, nil); status != http.StatusOK {
			t.Fatalf("status %d", status)
		}
	}
	file := filepath.Join(t.TempDir(), "devices.csv")
	text := "registration_id,platform\n" + ids[0] + ",ios\nnobody,android\n" + ids[1] + ",\n" + ids[2] + ",\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}

	here := NewProcess(t, t.TempDir())
	here.Start(t)
	args := []string{"import", "jpush", "--app-key", old.Key, "--secret", old.Secret, "--create", "--name", "Courier", "--fetch", "--jpush-url", vendor.URL, "--rate", "60000", file}
	out, err := here.borealis(t, args...)
	if err == nil || !strings.Contains(out, "line 3: the vendor does not know nobody") || !strings.Contains(out, "created\t3\n") || !strings.Contains(out, "1 lines were not imported") {
		t.Fatalf("import: %v\n%s", err, out)
	}
	if out, err := here.borealis(t, args...); err == nil || !strings.Contains(out, "created\t0\n") || !strings.Contains(out, "known\t3\n") {
		t.Errorf("again: %v\n%s", err, out)
	}
	// The backend calls with the keys and ids it has.
	for i, id := range ids {
		var got compatDevice
		here.Call(t, old, http.MethodGet, "/v3/devices/"+id, nil, &got)
		if got.Alias != fmt.Sprintf("user%d", i) || !slices.Equal(got.Tags, []string{"vip"}) || got.Mobile != "13800000000" {
			t.Errorf("%s: %+v", id, got)
		}
	}
	var byAlias struct {
		IDs []string `json:"registration_ids"`
	}
	if here.Call(t, old, http.MethodGet, "/v3/aliases/user1", nil, &byAlias); !slices.Equal(byAlias.IDs, ids[1:2]) {
		t.Errorf("alias: %v", byAlias.IDs)
	}
	sentTo := map[string]string{
		"an old id": here.push(t, old, notification(to(ids[1]), "by id")),
		"an alias":  here.push(t, old, notification(map[string]any{"alias": []string{"user1"}}, "by alias")),
		"a tag":     here.push(t, old, notification(map[string]any{"tag": []string{"vip"}}, "by tag")),
	}
	here.Kill()
	here.Start(t)
	d := here.claim(t, old, "0b0e5c4e-8f6c-4a76-9c6b-000000000001", ids[1])
	_, got := connectV3(t, here.MQTT, old, d)
	received := map[string]bool{}
	for range sentTo {
		received[next(t, got).ID] = true
	}
	for what, msg := range sentTo {
		if !received[msg] {
			t.Errorf("what was sent to %s did not come", what)
		}
	}
	// Reports answer by both ids.
	var status map[string]struct {
		Status int `json:"status"`
	}
	Eventually(t, "the delivery is reported", func() error {
		here.Call(t, old, http.MethodPost, "/v3/status/message", map[string]any{"msg_id": sentTo["a tag"], "registration_ids": []string{ids[1], d.RegistrationID, ids[2], "x"}}, &status)
		if status[ids[1]].Status != 0 || status[d.RegistrationID].Status != 0 || status[ids[2]].Status != 1 || status["x"].Status != 2 || len(status) != 4 {
			return fmt.Errorf("status %v", status)
		}
		return nil
	})
	var progress app.AdminImportStatus
	if here.Admin(t, http.MethodGet, "/import/apps/"+old.Key, nil, &progress); progress != (app.AdminImportStatus{Imported: 3, Unclaimed: 2}) {
		t.Errorf("progress %+v", progress)
	}
	if out, err := here.borealis(t, "import", "status", old.Key); err != nil || !strings.Contains(out, "unclaimed\t2\n") {
		t.Errorf("status: %v\n%s", err, out)
	}
	here.Terminate(t)
}

// What the command is called wrongly with is said before anything is sent.
func TestImportSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	here := NewProcess(t, t.TempDir())
	here.Start(t)
	c := here.NewApp(t)
	file := filepath.Join(t.TempDir(), "devices.jsonl")
	if err := os.WriteFile(file, []byte(`{"registration_id":"a1","alias":"not-an-alias"}`+"\n"+`{"registration_id":"a2"}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]struct {
		args []string
		want string
	}{
		"no secret":         {[]string{"--app-key", c.Key, "--create", file}, "--create needs --secret"},
		"another secret":    {[]string{"--app-key", c.Key, "--secret", c.Key, "--create", file}, "is not that of the app"},
		"a secret too long": {[]string{"--app-key", "7d431e42dfa6a6d693ac2d04", "--secret", "x", "--create", file}, "master_secret: must have 24 letters and digits"},
		"an unknown app":    {[]string{"--app-key", "nobody", file}, "no app has this key"},
		"an open address":   {[]string{"--app-key", c.Key, "--secret", c.Secret, "--jpush-url", "http://api.jpush.cn", file}, "must begin with https://"},
		"no file":           {[]string{"--app-key", c.Key, file + ".nothing"}, "no such file"},
		"a bad alias":       {[]string{"--app-key", c.Key, file}, `line 1: alias: must not contain '-'`},
	} {
		if out, err := here.borealis(t, append([]string{"import", "jpush"}, x.args...)...); err == nil || !strings.Contains(out, x.want) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	if out, err := here.borealis(t, "import", "jpush", "--app-key", c.Key, "--check", file); err != nil || !strings.Contains(out, "good\t2\n") {
		t.Errorf("check: %v\n%s", err, out)
	}
	here.Terminate(t)
}
