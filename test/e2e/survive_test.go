package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"borealis/internal/app"
)

// What takes time, or several steps, survives kill -9 without loss or double send: a paced push that is half out, a
// schedule whose time comes while the server is down, a push to a group that was answered a moment ago.
func TestLongWorkSurvivesKills(t *testing.T) {
	t.Parallel()
	p := NewProcess(t, t.TempDir())
	p.Start(t)
	one := p.NewApp(t, app.AdminChange{Name: "offline_messages", Value: "0"}, app.AdminChange{Name: "zone", Value: "UTC"})
	two := p.NewApp(t, app.AdminChange{Name: "offline_messages", Value: "0"})
	c := &crash{p: p, app: one, got: map[string]map[string]bool{}}
	for range 40 {
		c.devices = append(c.devices, p.Register(t, one, "android"))
	}
	other := p.Register(t, two, "android")
	disconnect := c.connect(t)
	client, _ := connectV3(t, p.MQTT, two, other)
	client.Disconnect(10)
	group := newGroup(t, p, one, two)

	paced := p.push(t, one, map[string]any{
		"platform": "all", "audience": "all", "notification": map[string]any{"alert": "paced"}, "options": map[string]any{"big_push_duration": 1},
	})
	due := time.Now().UTC().Add(4 * time.Second).Truncate(time.Second)
	var schedule struct {
		ID string `json:"schedule_id"`
	}
	status := p.Call(t, one, http.MethodPost, "/v3/schedules", map[string]any{
		"name": "soon", "enabled": true, "trigger": map[string]any{"single": map[string]any{"time": due.Format(time.DateTime)}},
		"push": notification("all", "scheduled"),
	}, &schedule)
	if status != http.StatusOK || schedule.ID == "" {
		t.Fatalf("schedule: status %d", status)
	}
	var answers map[string]json.RawMessage
	if status := p.Call(t, group, http.MethodPost, "/v3/grouppush", notification("all", "group"), &answers); status != http.StatusOK {
		t.Fatalf("group: status %d", status)
	}
	part := func(key string) string {
		var a pushAnswer
		if err := json.Unmarshal(answers[key], &a); err != nil || a.MsgID == "" {
			t.Fatalf("app %s: %s", key, answers[key])
		}
		return a.MsgID
	}
	inOne, inTwo := part(one.Key), part(two.Key)

	p.Kill()
	disconnect()
	<-time.After(time.Until(due.Add(time.Second))) // the time of the schedule passes while nobody runs
	p.Start(t)
	disconnect = c.connect(t)
	Eventually(t, "some of the paced push has arrived", func() error {
		if n := c.reached(paced); n < 8 || n == len(c.devices) {
			return fmt.Errorf("%d devices have it", n)
		}
		return nil
	})
	p.Kill()
	disconnect()
	p.Start(t)
	disconnect = c.connect(t)
	defer disconnect()

	var fired string
	Eventually(t, "the schedule has fired", func() error {
		var past struct {
			Count  int      `json:"count"`
			MsgIDs []string `json:"msgids"`
		}
		p.Call(t, one, http.MethodGet, "/v3/schedules/"+schedule.ID+"/msg_ids", nil, &past)
		var row struct {
			MsgID string `json:"msg_id"`
		}
		if past.Count != 1 || json.Unmarshal([]byte(past.MsgIDs[0]), &row) != nil || row.MsgID == "" {
			return fmt.Errorf("past %+v", past)
		}
		fired = row.MsgID
		return nil
	})
	all := c.rids(func(int) bool { return true })
	await(t, 90*time.Second, "everything has arrived", func() error { return c.missing([]sent{{paced, all}, {fired, all}, {inOne, all}}) })
	c.mu.Lock()
	for id := range c.got {
		if !slices.Contains([]string{paced, fired, inOne}, id) {
			t.Errorf("message %s was sent and nobody asked for it", id)
		}
	}
	c.mu.Unlock()
	_, got := connectV3(t, p.MQTT, two, other)
	select {
	case f := <-got:
		if f.ID != inTwo {
			t.Errorf("the other app's device got %s, want %s", f.ID, inTwo)
		}
	case <-time.After(20 * time.Second):
		t.Error("the other app's device got nothing")
	}
	p.Terminate(t)
}

// reached counts the devices that a message has reached.
func (c *crash) reached(msg string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.got[msg])
}

// await is Eventually for what takes longer.
func await(t *testing.T, limit time.Duration, what string, holds func() error) {
	t.Helper()
	for deadline := time.Now().Add(limit); ; time.Sleep(50 * time.Millisecond) {
		err := holds()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
	}
}

// newGroup makes a developer and a group of apps, and returns the credentials of the group.
func newGroup(t *testing.T, p *Process, apps ...Credentials) Credentials {
	t.Helper()
	var developer app.AdminDeveloper
	p.Admin(t, http.MethodPost, "/developers", map[string]string{"name": "tester"}, &developer)
	request := app.AdminGroupRequest{DevKey: developer.DevKey, Name: "all"}
	for _, a := range apps {
		request.Apps = append(request.Apps, a.Key)
	}
	var group app.AdminGroup
	p.Admin(t, http.MethodPost, "/groups", request, &group)
	return Credentials{"group-" + group.GroupKey, group.MasterSecret}
}
