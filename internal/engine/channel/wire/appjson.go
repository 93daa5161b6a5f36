package wire

import "encoding/json"

// AppJSON is AppData as one JSON text, for vendors that carry a text for the app. Extras that speak to the server are left out.
func (m *Message) AppJSON() (string, error) {
	data, err := m.AppData()
	if err != nil {
		return "", err
	}
	for _, key := range []string{ShortXiaomi, ShortOPPO, ShortVivo, ShortMeizu} {
		delete(data, key)
	}
	text, err := json.Marshal(data)
	return string(text), err
}
