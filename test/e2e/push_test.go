package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"borealis/internal/kernel/bus/bustest"
	"borealis/internal/kernel/config"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/kernel/secret"
)

type frame struct {
	ID      string         `json:"id"`
	Type    string         `json:"type"`
	Alert   string         `json:"alert"`
	Options map[string]any `json:"options"`
	WebPush struct {
		Instance string `json:"instance"`
		Body     string `json:"body"`
		Encoding string `json:"encoding"`
		Topic    string `json:"topic"`
		Urgency  string `json:"urgency"`
	} `json:"webpush"`
	ExpiresAt int64 `json:"expires_at"`
}

// connectV3 connects a stock MQTT 3.1.1 client and returns the channel of what it receives.
func connectV3(t *testing.T, broker string, app Credentials, d Device) (paho.Client, <-chan frame) {
	t.Helper()
	got := make(chan frame, 1000)
	opts := paho.NewClientOptions().AddBroker(broker).SetClientID(d.RegistrationID).SetUsername(app.Key).SetPassword(d.Secret).
		SetAutoReconnect(false).SetConnectTimeout(10 * time.Second).SetProtocolVersion(4).
		SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) {
			var f frame
			if err := json.Unmarshal(m.Payload(), &f); err != nil {
				t.Errorf("payload %q: %v", m.Payload(), err)
			}
			got <- f
		})
	c := paho.NewClient(opts)
	if token := c.Connect(); !token.WaitTimeout(10*time.Second) || token.Error() != nil {
		t.Fatalf("connect: %v", token.Error())
	}
	t.Cleanup(func() { c.Disconnect(50) })
	return c, got
}

func next(t *testing.T, got <-chan frame) frame {
	t.Helper()
	select {
	case f := <-got:
		return f
	case <-time.After(20 * time.Second):
		t.Fatal("nothing received within 20 s")
		return frame{}
	}
}

type pushAnswer struct {
	SendNo string `json:"sendno"`
	MsgID  string `json:"msg_id"`
}

func (n *Node) push(t *testing.T, app Credentials, body any) string {
	t.Helper()
	var out pushAnswer
	if status := n.Call(t, app, http.MethodPost, "/v3/push", body, &out); status != http.StatusOK || out.MsgID == "" {
		t.Fatalf("push: status %d", status)
	}
	return out.MsgID
}

func to(rids ...string) map[string]any { return map[string]any{"registration_id": rids} }

func notification(audience any, alert string) map[string]any {
	return map[string]any{"platform": "all", "audience": audience, "notification": map[string]any{"alert": alert}}
}

// The walk of one push: registered, connected, pushed to by id, by alias and as a broadcast, offline and online,
// counted.
func TestFirstPush(t *testing.T) {
	t.Run("sqlite, embedded bus", func(t *testing.T) {
		n := Start(t, nil)
		firstPush(t, n, n)
	})
	t.Run("postgres, external bus", func(t *testing.T) {
		n := Start(t, cluster(t))
		firstPush(t, n, n)
	})
	t.Run("postgres, external bus, core and edge apart", func(t *testing.T) {
		shared := cluster(t)
		core := Start(t, func(c *config.Config) { shared(c); c.Target = config.TargetCore })
		edge := Start(t, func(c *config.Config) { shared(c); c.Target, c.DatabaseURL = config.TargetEdge, "" })
		firstPush(t, core, edge)
	})
	t.Run("two nodes that share the work", func(t *testing.T) {
		shared := cluster(t)
		a, b := Start(t, shared), Start(t, shared)
		firstPush(t, a, b)
	})
}

// cluster configures nodes of one cluster: the same PostgreSQL database, NATS server and key file.
func cluster(t *testing.T) func(*config.Config) {
	t.Helper()
	database, nats := dbtest.PostgresURL(t), bustest.Server(t)
	keys := filepath.Join(t.TempDir(), "keys.json")
	if _, err := secret.Create(keys); err != nil {
		t.Fatal(err)
	}
	return func(c *config.Config) {
		c.DatabaseURL, c.NATSURL, c.KeyFile = config.URL(database), config.URL(nats), keys
	}
}

// firstPush calls the APIs on one node while the device is connected to another.
func firstPush(t *testing.T, n, edge *Node) {
	app := n.CreateApp(t)
	d := n.Register(t, app, "android")
	client, got := connectV3(t, edge.MQTT, app, d)

	id := n.push(t, app, notification(to(d.RegistrationID), "one"))
	if f := next(t, got); f.ID != id || f.Type != "notification" || f.Alert != "one" {
		t.Errorf("got %+v", f)
	}
	if status := n.Call(t, app, http.MethodPost, "/v3/devices/"+d.RegistrationID, map[string]any{"alias": "ann", "tags": map[string]any{"add": []string{"beta"}}}, nil); status != 200 {
		t.Fatalf("set alias: %d", status)
	}
	id = n.push(t, app, notification(map[string]any{"alias": []string{"ann"}, "tag": []string{"beta"}}, "two"))
	if f := next(t, got); f.ID != id {
		t.Errorf("got %+v, want message %s", f, id)
	}
	id = n.push(t, app, notification("all", "three"))
	if f := next(t, got); f.ID != id {
		t.Errorf("got %+v, want message %s", f, id)
	}

	client.Disconnect(100)
	var offline []string
	for i := range 7 {
		offline = append(offline, n.push(t, app, notification(to(d.RegistrationID), fmt.Sprint("offline ", i))))
	}
	_, got = connectV3(t, edge.MQTT, app, d)
	for _, want := range offline[2:] { // the newest five
		if f := next(t, got); f.ID != want {
			t.Errorf("got %+v, want message %s", f, want)
		}
	}
	Eventually(t, "delivery is counted", func() error {
		var rows []struct {
			MsgID           string `json:"msg_id"`
			AndroidReceived *int64 `json:"android_received"`
		}
		n.Call(t, app, http.MethodGet, "/v3/received?msg_ids="+id+","+offline[0]+","+offline[6], nil, &rows)
		if len(rows) != 3 || rows[0].AndroidReceived == nil || *rows[0].AndroidReceived != 1 || *rows[1].AndroidReceived != 0 || *rows[2].AndroidReceived != 1 {
			return fmt.Errorf("received: %+v", rows)
		}
		return nil
	})
}
