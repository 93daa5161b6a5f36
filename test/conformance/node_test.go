package conformance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"borealis/internal/kernel/config"
	"borealis/test/e2e"
)

// start runs a node without TLS.
func start(t testing.TB) *e2e.Node {
	t.Helper()
	return e2e.Start(t, func(c *config.Config) { c.MQTTAddr = e2e.FreeAddr(t) })
}

// startTLS runs a node with a certificate of the authority.
func startTLS(t testing.TB, a *authority) *e2e.Node {
	t.Helper()
	n := e2e.Start(t, func(c *config.Config) {
		c.MQTTAddr, c.MQTTSAddr, c.TLSCert, c.TLSKey = e2e.FreeAddr(t), e2e.FreeAddr(t), a.certFile, a.keyFile
	})
	transport := &http.Transport{TLSClientConfig: a.client(), ForceAttemptHTTP2: true}
	n.HTTP = &http.Client{Transport: transport}
	t.Cleanup(transport.CloseIdleConnections)
	return n
}

// endpoint is the address with the scheme that the device was told to connect to.
func endpoint(t testing.TB, d e2e.Device, scheme string) string {
	t.Helper()
	for _, url := range d.MQTT {
		if strings.HasPrefix(url, scheme+"://") {
			return url
		}
	}
	t.Fatalf("the device was told %q, none is %s", d.MQTT, scheme)
	return ""
}

// push sends a push and returns its id.
func push(t testing.TB, n *e2e.Node, c e2e.Credentials, body any) string {
	t.Helper()
	var out struct {
		MsgID string `json:"msg_id"`
		Error json.RawMessage
	}
	if status := n.Call(t, c, http.MethodPost, "/v3/push", body, &out); status != http.StatusOK || out.MsgID == "" {
		t.Fatalf("push: status %d, %s", status, out.Error)
	}
	return out.MsgID
}

// alert is the body of a notification to devices.
func alert(text string, rids ...string) map[string]any {
	return map[string]any{"platform": "all", "audience": map[string]any{"registration_id": rids}, "notification": map[string]any{"alert": text}}
}

// join makes a device one that pushes can address, by its first call: a connection that was just ended may still be written to.
func join(t testing.TB, n *e2e.Node, c e2e.Credentials, d e2e.Device) {
	t.Helper()
	own := e2e.Credentials{Key: d.RegistrationID, Secret: d.Secret}
	if status := n.Call(t, own, http.MethodGet, "/device/v1/profile?app_key="+c.Key, nil, nil); status != http.StatusOK {
		t.Fatalf("profile: status %d", status)
	}
}

// awaitReceipt waits until the report counts one delivery of the message.
func awaitReceipt(t testing.TB, n *e2e.Node, c e2e.Credentials, msg string) {
	t.Helper()
	e2e.Eventually(t, "the receipt of "+msg+" is counted", func() error {
		var rows []struct {
			MsgID           string `json:"msg_id"`
			AndroidReceived *int   `json:"android_received"`
		}
		n.Call(t, c, http.MethodGet, "/v3/received?msg_ids="+msg, nil, &rows)
		if len(rows) != 1 || rows[0].MsgID != msg || rows[0].AndroidReceived == nil || *rows[0].AndroidReceived != 1 {
			return fmt.Errorf("report %+v", rows)
		}
		return nil
	})
}

// funnel is what became of a message.
type funnel struct {
	Targets   int            `json:"targets"`
	Sent      int            `json:"sent"`
	Delivered int            `json:"delivered"`
	Displayed int            `json:"displayed"`
	Clicked   int            `json:"clicked"`
	Failed    map[string]int `json:"failed"`
}

// awaitFunnel waits until the message has the funnel.
func awaitFunnel(t testing.TB, n *e2e.Node, c e2e.Credentials, msg string, want funnel) {
	t.Helper()
	e2e.Eventually(t, "the funnel of "+msg, func() error {
		var out struct {
			ID    string `json:"id"`
			Total funnel `json:"total"`
		}
		status := n.Call(t, c, http.MethodGet, "/api/v1/apps/"+c.Key+"/messages/"+msg, nil, &out)
		if status != http.StatusOK || out.ID != msg || fmt.Sprint(out.Total) != fmt.Sprint(want) {
			return fmt.Errorf("status %d, %+v", status, out)
		}
		return nil
	})
}

// day is the counts of an app over the days the native API shows.
type day struct {
	Messages   int `json:"messages"`
	Targets    int `json:"targets"`
	Deliveries int `json:"deliveries"`
	Devices    int `json:"devices"`
}

// counts sums the days of an app up.
func counts(t testing.TB, n *e2e.Node, c e2e.Credentials) day {
	t.Helper()
	var out struct {
		Days []day `json:"days"`
	}
	if status := n.Call(t, c, http.MethodGet, "/api/v1/apps/"+c.Key+"/days", nil, &out); status != http.StatusOK || len(out.Days) == 0 {
		t.Fatalf("days: status %d, %d days", status, len(out.Days))
	}
	var sum day
	for _, d := range out.Days {
		sum.Messages += d.Messages
		sum.Targets += d.Targets
		sum.Deliveries += d.Deliveries
		sum.Devices += d.Devices
	}
	return sum
}

// awaitMessages waits until the statistics count so many pushes, and fails if there are more.
func awaitMessages(t testing.TB, n *e2e.Node, c e2e.Credentials, want int) {
	t.Helper()
	got := 0
	e2e.Eventually(t, "accepted pushes are counted", func() error {
		if got = counts(t, n, c).Messages; got < want {
			return fmt.Errorf("%d of %d", got, want)
		}
		return nil
	})
	if got != want {
		t.Errorf("%d pushes are counted, %d were accepted", got, want)
	}
}
