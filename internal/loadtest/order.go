package loadtest

// order is one line to the clients' process; answer is the line it answers with, after the work is done.
type order struct {
	// Op is register, connect, disconnect, expect, await or ids.
	Op string `json:"op"`
	// HTTP is the server's base URL, for register; MQTT its address, for connect.
	HTTP   string `json:"http,omitempty"`
	MQTT   string `json:"mqtt,omitempty"`
	AppKey string `json:"app_key,omitempty"`
	// Count of devices (register, connect, ids) or of pairs to wait for (await).
	Count int `json:"count,omitempty"`
	// Concurrency bounds what is under way at once.
	Concurrency int `json:"concurrency,omitempty"`
	// Version of MQTT, for connect.
	Version byte `json:"version,omitempty"`
	// Topic to subscribe to, with QoS; empty: no subscription.
	Topic string `json:"topic,omitempty"`
	QoS   byte   `json:"qos,omitempty"`
	// Anonymous: no credentials but a client id, a clean session; for the peer.
	Anonymous bool `json:"anonymous,omitempty"`
	// Round, Messages and Each begin a round, for expect.
	Round    uint32 `json:"round,omitempty"`
	Messages int    `json:"messages,omitempty"`
	Each     bool   `json:"each,omitempty"`
	// Seconds is how long register, connect or await may take.
	Seconds float64 `json:"seconds,omitempty"`
}

type answer struct {
	Error string `json:"error,omitempty"`
	// Seconds it took, Count of devices it worked for.
	Seconds float64 `json:"seconds,omitempty"`
	Count   int     `json:"count,omitempty"`
	// IDs are registration ids.
	IDs []string `json:"ids,omitempty"`
	// Arrived is the answer to await.
	Arrived *arrived `json:"arrived,omitempty"`
}

// arrived is what the clients have received in a round.
type arrived struct {
	Fresh   int64 `json:"fresh"`
	Again   int64 `json:"again"`
	Strange int64 `json:"strange"`
	// Lost is the number of connections that ended without being told to, LostWhy the reason of the first.
	Lost    int64  `json:"lost"`
	LostWhy string `json:"lost_why,omitempty"`
	// Size of the last payload in bytes.
	Size int64 `json:"size"`
	// First and Last arrival in Unix nanoseconds.
	First   int64   `json:"first"`
	Last    int64   `json:"last"`
	Latency Latency `json:"latency"`
}
