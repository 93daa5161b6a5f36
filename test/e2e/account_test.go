package e2e

import (
	"errors"
	"net/http"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"borealis/internal/app"
)

// What happens to a deleted app: its device is disconnected and not let in again, its credentials are those of no app,
// and it has left its group.
func TestDeletedApp(t *testing.T) {
	t.Parallel()
	n := Start(t, nil)
	doomed, other := n.NewApp(t), n.NewApp(t)
	var developer app.AdminDeveloper
	n.Admin(t, http.MethodPost, "/developers", map[string]string{"name": "Ann"}, &developer)
	n.Admin(t, http.MethodPatch, "/developers/"+developer.DevKey, []app.AdminChange{{Name: "files", Value: "true"}}, &developer)
	if !developer.Files || len(developer.DevKey) != 24 || len(developer.DevSecret) != 24 {
		t.Errorf("developer %+v", developer)
	}
	var group app.AdminGroup
	n.Admin(t, http.MethodPost, "/groups", app.AdminGroupRequest{DevKey: developer.DevKey, Name: "vans", Apps: []string{doomed.Key}}, &group)
	n.Admin(t, http.MethodPatch, "/groups/"+group.GroupKey, []app.AdminChange{{Name: "apps+", Value: other.Key}}, &group)
	if len(group.Apps) != 2 || group.DevKey != developer.DevKey {
		t.Errorf("group %+v", group)
	}
	device := n.Register(t, doomed, "android")
	client, _ := connectV3(t, n.MQTT, doomed, device)

	var gone app.AdminApp
	n.Admin(t, http.MethodDelete, "/apps/"+doomed.Key, nil, &gone)
	if gone.State != "deleted" {
		t.Errorf("deleted %+v", gone)
	}
	Eventually(t, "the device is disconnected", func() error {
		if client.IsConnectionOpen() {
			return errors.New("still connected")
		}
		return nil
	})
	again := paho.NewClient(paho.NewClientOptions().AddBroker(n.MQTT).SetClientID(device.RegistrationID).SetUsername(doomed.Key).SetPassword(device.Secret).
		SetAutoReconnect(false).SetProtocolVersion(4))
	if token := again.Connect(); !token.WaitTimeout(10*time.Second) || token.Error() == nil {
		t.Error("the device of a deleted app is let in")
		again.Disconnect(50)
	}
	var refused struct {
		Error struct{ Code int } `json:"error"`
	}
	if status := n.Call(t, doomed, http.MethodPost, "/v3/push", notification("all", "x"), &refused); status != http.StatusBadRequest || refused.Error.Code != 1008 {
		t.Errorf("a push: %d with code %d", status, refused.Error.Code)
	}
	if status := n.Call(t, Credentials{}, http.MethodPost, "/device/v1/register", map[string]any{"app_key": doomed.Key, "platform": "ios"}, nil); status != http.StatusNotFound {
		t.Errorf("a registration: %d", status)
	}
	n.Admin(t, http.MethodGet, "/groups/"+group.GroupKey, nil, &group)
	if len(group.Apps) != 1 || group.Apps[0] != other.Key {
		t.Errorf("group %+v", group)
	}
	var apps []app.AdminApp
	n.Admin(t, http.MethodGet, "/apps", nil, &apps)
	if len(apps) != 1 || apps[0].AppKey != other.Key {
		t.Errorf("listed %+v", apps)
	}
	var deleted map[string]any
	n.Admin(t, http.MethodDelete, "/groups/"+group.GroupKey, nil, &deleted)
	var groups []app.AdminGroup
	n.Admin(t, http.MethodGet, "/groups", nil, &groups)
	if len(groups) != 0 {
		t.Errorf("groups %+v", groups)
	}
}
