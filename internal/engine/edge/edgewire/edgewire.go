// Package edgewire is the contract between the edge nodes, which hold the device connections, and the core nodes,
// which hold the database: the bus subjects and the messages on them. An edge opens no database; everything it needs
// comes through here, whether both live in one process or not.
//
// Directions: "core.…" subjects are served by core nodes, "edge.…" subjects by edges.
//
// An app belongs to one of Partitions partitions and a partition is owned by one core node at a time, so for any app
// one node at a time answers connects, hands out what is owed and merges receipts. A request that finds no owner
// (bus.ErrNoResponder, or no answer in time) is repeated: ownership moves within seconds.
package edgewire

import "strconv"

// Partitions is the number of ownership partitions apps are spread over.
const Partitions = 16

// Partition of an app.
func Partition(app int64) int { return int(uint64(app) % Partitions) }

// Subjects served by core nodes.
const (
	// SubjectApp is a request App → AppFacts, answered by any core node (queue group QueueCore).
	SubjectApp = "core.app"
	// SubjectPresence carries Presence from edges to every core node; not answered.
	SubjectPresence = "core.presence"
	// QueueCore is the queue group of core nodes.
	QueueCore = "core"
)

// SubjectConnect is a request Connect → Connected to the owner of the partition.
func SubjectConnect(app int64) string { return owned("core.connect.", app) }

// SubjectOwed is a request OwedRequest → Owed to the owner of the partition.
func SubjectOwed(app int64) string { return owned("core.owed.", app) }

// SubjectReceipts is a request Receipts → Ack to the owner of the partition. The answer means that the receipts are
// committed; without it the edge repeats them. Merging is idempotent.
func SubjectReceipts(app int64) string { return owned("core.receipts.", app) }

// SubjectUp is a request Up → UpReply to the owner of the partition.
func SubjectUp(app int64) string { return owned("core.up.", app) }

func owned(prefix string, app int64) string { return prefix + strconv.Itoa(Partition(app)) }

// Subjects served by edges. Each exists for all edges and, with the edge's id appended, for one.
const (
	SubjectDeliver = "edge.deliver" // Deliver
	SubjectKick    = "edge.kick"    // Kick
	SubjectOffer   = "edge.offer"   // Offer
	SubjectSync    = "edge.sync"    // Sync
	SubjectHello   = "edge.hello"   // Hello
	SubjectApps    = "edge.apps"    // AppFacts that changed
	// SubjectWithdraw carries Withdraw, to all edges.
	SubjectWithdraw = "edge.withdraw"
)

// ToEdge is the form of an edge subject that only the given edge receives.
func ToEdge(subject, edge string) string { return subject + "." + edge }

// AppRequest asks for the facts of an app by its public key.
type AppRequest struct {
	AppKey string `cbor:"1,keyasint"`
}

// AppFacts is what an edge must know of an app to admit its devices. An edge keeps it for at most a minute, and drops
// it when the same facts arrive on SubjectApps.
type AppFacts struct {
	AppKey string `cbor:"1,keyasint"`
	// ID is the internal number of the app; 0: no such app.
	ID int64 `cbor:"2,keyasint"`
	// Enabled is false for a disabled or sanctioned app: its devices are refused and disconnected (0x87 / 0x05).
	Enabled bool `cbor:"3,keyasint"`
}

// Connect asks the owner to admit a device whose secret the edge has checked.
type Connect struct {
	Edge       string `cbor:"1,keyasint"`
	App        int64  `cbor:"2,keyasint"`
	Epoch      uint8  `cbor:"3,keyasint"`
	Ordinal    uint32 `cbor:"4,keyasint"`
	Generation uint16 `cbor:"5,keyasint"` // of the secret
}

// Refusal says why a device is not admitted.
type Refusal uint8

// Refusals, with the CONNACK codes (MQTT 5 / 3.1.1) the edge answers.
const (
	Admitted       Refusal = iota
	BadCredentials         // 0x86 / 0x04: unknown device or revoked secret
	NotAuthorized          // 0x87 / 0x05: disabled or sanctioned app
	QuotaExceeded          // 0x97 / 0x03
	Unavailable            // 0x88 / 0x03: try again
)

// Connected answers Connect.
type Connected struct {
	Refusal Refusal `cbor:"1,keyasint"`
	// Conn is the server-issued connection number. Of two connections of one device the higher number lives.
	Conn uint64 `cbor:"2,keyasint"`
	// KeepAlive in seconds that the server imposes (MQTT 5 Server Keep Alive); 0: the client's own.
	KeepAlive uint16 `cbor:"3,keyasint"`
	// Known: the device has connected before. A client that resumes its session is told Session Present only then.
	Known bool `cbor:"4,keyasint,omitempty"`
}

// OwedRequest asks for what a device is owed. The edge marks the device online before it asks, so nothing falls
// between: what was accepted earlier is in the answer, what is accepted later finds the device online.
type OwedRequest struct {
	Edge    string `cbor:"1,keyasint"`
	App     int64  `cbor:"2,keyasint"`
	Ordinal uint32 `cbor:"3,keyasint"`
	// Reload is false right after CONNECT, when the newest N are chosen and older ones are displaced, and true when an
	// already online device asks again (offer, gap, drained window).
	Reload bool `cbor:"4,keyasint"`
}

// Owed answers OwedRequest, oldest first.
type Owed struct {
	Frames []Frame `cbor:"1,keyasint"`
	// More: the answer was cut at its size limit; ask again (Reload) when these are acknowledged.
	More bool `cbor:"2,keyasint"`
}

// Frame is one message as its targets receive it.
type Frame struct {
	// Msg is the public msg_id, unique over all apps.
	Msg int64 `cbor:"1,keyasint"`
	// Payload is the UTF-8 JSON a device receives, see docs/integrate/device.md.
	Payload []byte `cbor:"2,keyasint"`
	// Expires is when the message ends, Unix milliseconds; an edge does not write it afterwards.
	Expires int64 `cbor:"3,keyasint"`
	// Wide: a message of more than 1,000 targets. Its receipts are gathered longer and sent as sets.
	Wide bool `cbor:"4,keyasint"`
}

// Deliver hands a frame to the edges: each writes it to those of the targets that it has online.
type Deliver struct {
	App   int64 `cbor:"1,keyasint"`
	Frame Frame `cbor:"2,keyasint"`
	// Ordinals or Set (portable Roaring) are the targets; exactly one is used.
	Ordinals []uint32 `cbor:"3,keyasint,omitempty"`
	Set      []byte   `cbor:"4,keyasint,omitempty"`
	// Node and Seq number the broadcasts (SubjectDeliver, to all edges) of one sending node and app from 1 without
	// gaps. An edge that misses a number reloads what the app's online devices are owed. Seq 0: not numbered (direct).
	Node string `cbor:"5,keyasint,omitempty"`
	Seq  uint64 `cbor:"6,keyasint,omitempty"`
}

// Withdraw tells that a message must not be written any more, also to those for whom it is already on its way through an
// edge. It may get lost: the message is then written to devices that were about to get it.
type Withdraw struct {
	Msg int64 `cbor:"1,keyasint"`
}

// Sync repeats the highest broadcast number of each app recently active on a node, so that the loss of a last
// message is noticed too. Sent every few seconds.
type Sync struct {
	Node string           `cbor:"1,keyasint"`
	Seqs map[int64]uint64 `cbor:"2,keyasint"`
}

// Offer names devices that are owed something unacknowledged; an edge that has one online reloads what it is owed,
// unless all of it is in flight on that connection already.
type Offer struct {
	App      int64    `cbor:"1,keyasint"`
	Ordinals []uint32 `cbor:"2,keyasint"`
}

// Kick ends connections.
type Kick struct {
	App int64 `cbor:"1,keyasint"`
	// Ordinal of the device, when All is false.
	Ordinal uint32 `cbor:"2,keyasint"`
	All     bool   `cbor:"3,keyasint"`
	// Below: only connections numbered below this end (take-over, v5 DISCONNECT 0x8E); 0: any (v5 DISCONNECT 0x87).
	Below uint64 `cbor:"4,keyasint"`
}

// Hello is sent by a core node that starts, takes over a partition or doubts its picture of who is online. Every edge
// answers with a full Presence.
type Hello struct {
	Node string `cbor:"1,keyasint"`
}

// Presence tells who is online on an edge, as changes or in full, in one sequence per edge run.
type Presence struct {
	Edge string `cbor:"1,keyasint"`
	// Run is the start time of the edge process, Unix microseconds: a higher run replaces all that an older one said.
	Run int64 `cbor:"2,keyasint"`
	// Seq numbers the messages of a run from 1. A receiver that misses one says Hello to this edge. Sent at least
	// every 2 s, empty if nothing changed: an edge not heard for 10 s is considered gone.
	Seq uint64 `cbor:"3,keyasint"`
	// Full: Apps is everything and replaces what was known; otherwise Apps are changes.
	Full bool          `cbor:"4,keyasint"`
	Apps []AppPresence `cbor:"5,keyasint,omitempty"`
	// Gone: the edge drains and stops; forget it.
	Gone bool `cbor:"6,keyasint,omitempty"`
}

// AppPresence is the part of one app: portable Roaring sets. In a full Presence only Online is used.
type AppPresence struct {
	App     int64  `cbor:"1,keyasint"`
	Online  []byte `cbor:"2,keyasint,omitempty"`
	Offline []byte `cbor:"3,keyasint,omitempty"`
}

// Stage of a message on its way to a device, as an edge can know it.
type Stage uint8

// Stages.
const (
	// Sent: written to the socket.
	Sent Stage = iota + 1
	// Delivered: acknowledged by the device (QoS 1), or completely written at QoS 0.
	Delivered
)

// Receipts tells which devices reached which stage.
type Receipts struct {
	Edge  string    `cbor:"1,keyasint"`
	App   int64     `cbor:"2,keyasint"`
	Items []Receipt `cbor:"3,keyasint"`
	// At is when the batch was closed, Unix milliseconds.
	At int64 `cbor:"4,keyasint"`
	// Channel is the vendor's whose report this is; empty for those of edges.
	Channel string `cbor:"5,keyasint,omitempty"`
}

// Receipt is one message and stage; Ordinals for few devices, Set (portable Roaring) for many.
type Receipt struct {
	Msg      int64    `cbor:"1,keyasint"`
	Stage    Stage    `cbor:"2,keyasint"`
	Ordinals []uint32 `cbor:"3,keyasint,omitempty"`
	Set      []byte   `cbor:"4,keyasint,omitempty"`
}

// Up is a PUBLISH of a device on one of the topics up/events, up/profile, up/tokens.
type Up struct {
	App     int64  `cbor:"1,keyasint"`
	Ordinal uint32 `cbor:"2,keyasint"`
	Topic   string `cbor:"3,keyasint"`
	Payload []byte `cbor:"4,keyasint"`
}

// UpCode is the outcome of an Up, with the MQTT 5 PUBACK code the edge answers.
type UpCode uint8

// Outcomes. At MQTT 3.1.1, where a PUBACK has no code, a refused payload is acknowledged and dropped (repeating it
// would not help) and Busy is not acknowledged.
const (
	UpOK      UpCode = iota // 0x00: the effect is committed
	UpInvalid               // 0x99: payload is not what the topic takes
	UpDenied                // 0x87: valid, but this app or device may not
	UpQuota                 // 0x97
	UpBusy                  // 0x83: not processed, try again
)

// UpReply answers Up.
type UpReply struct {
	Code UpCode `cbor:"1,keyasint"`
	// Reason for people, ≤ 200 bytes; sent as Reason String at MQTT 5.
	Reason string `cbor:"2,keyasint,omitempty"`
}

// Ack answers requests that have nothing else to say.
type Ack struct {
	OK bool `cbor:"1,keyasint"`
}
