package sdk

import (
	"database/sql"
	"fmt"
	"maps"
	"net/http"
	"time"

	"borealis/test/e2e"
)

// fact asks for what is the case now.
func (w *walk) fact(name, of string) (any, error) {
	switch name {
	case "contacts":
		return object{"tcp": w.front.mqtt.contacts(), "http": w.front.http.contacts()}, nil
	case "requests", "mqtt", "events", "event_clock", "identity":
		return w.front.fact(name)
	case "funnel":
		return w.funnel(of)
	case "profile":
		rid, secret := w.front.identity()
		var out object
		status := w.node.Call(w.t, e2e.Credentials{Key: rid, Secret: secret}, http.MethodGet, "/device/v1/profile", nil, &out)
		if status != http.StatusOK {
			return nil, fmt.Errorf("status %d", status)
		}
		return out, nil
	case "online":
		var out struct {
			Online int `json:"online"`
		}
		status := w.node.Call(w.t, w.app, http.MethodGet, "/api/v1/apps/"+w.app.Key+"/days", nil, &out)
		if status != http.StatusOK {
			return nil, fmt.Errorf("status %d", status)
		}
		return object{"online": out.Online > 0}, nil
	case "alias":
		var out struct {
			IDs []string `json:"registration_ids"`
		}
		status := w.node.Call(w.t, w.app, http.MethodGet, "/v3/aliases/"+of, nil, &out)
		return object{"devices": len(out.IDs), "status": status}, nil
	case "tokens":
		out := object{}
		err := w.query(`select t.channel, t.token from device_token t join account_app a on a.id = t.app_id where a.app_key = ? order by t.ordinal`,
			func(scan func(...any) error) error {
				var channel, token string
				err := scan(&channel, &token)
				out[channel] = token
				return err
			})
		return out, err
	case "devices":
		n := 0
		err := w.query(`select d.ordinal from device_device d join account_app a on a.id = d.app_id where a.app_key = ?`,
			func(func(...any) error) error { n++; return nil })
		return object{"count": n}, err
	}
	w.t.Fatalf("no fact is called %q", name)
	return nil, nil
}

// query reads the server's database, for what no API tells.
func (w *walk) query(text string, each func(scan func(...any) error) error) error {
	d, err := sql.Open("sqlite", "file:"+w.dataDir+"/borealis.db?mode=ro&_pragma=busy_timeout(5000)")
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	rows, err := d.Query(text, w.app.Key)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := each(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (w *walk) funnel(of string) (any, error) {
	var out struct {
		Total object `json:"total"`
	}
	id := w.names[of]
	status := w.node.Call(w.t, w.app, http.MethodGet, "/api/v1/apps/"+w.app.Key+"/messages/"+id, nil, &out)
	if status != http.StatusOK {
		return nil, fmt.Errorf("message %q: status %d", id, status)
	}
	return out.Total, nil
}

// fact is what the front saw.
func (f *front) fact(name string) (any, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch name {
	case "requests":
		return maps.Clone(f.requests), nil
	case "mqtt":
		return maps.Clone(f.packets), nil
	case "identity":
		return object{"registration_id": f.rid}, nil
	case "events":
		largest, sent := 0, 0
		for _, e := range f.events {
			largest, sent = max(largest, len(e.list)), sent+len(e.list)
		}
		return object{"batches": len(f.events), "largest": largest, "sent": sent}, nil
	}
	var off time.Duration
	n := 0
	for _, e := range f.events {
		for _, r := range e.list {
			n++
			off = max(off, (time.Duration(e.at-r.At) * time.Millisecond).Abs())
		}
	}
	if n == 0 {
		return nil, fmt.Errorf("no receipt was sent")
	}
	return off, nil
}
