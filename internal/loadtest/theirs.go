package loadtest

import (
	"context"
	"fmt"
	"time"

	"borealis/internal/engine/edge/mqtt"
	"borealis/internal/simulate"
)

const (
	// peerTopic is what the peer's clients subscribe to.
	peerTopic = "push"
	// peerAckDevices bounds the clients of the peer at QoS 1: it keeps a consumer per subscription in JetStream, and what
	// one delivery costs is the same for fewer.
	peerAckDevices  = 1000
	peerAckMessages = 8
)

// measurePeer runs the same rounds on the peer.
func (b *bench) measurePeer(ctx context.Context) error {
	b.sayf("starting %s", PeerName)
	p, err := start(ctx, b.o.Binary, b.dir, "peer", b.o.PeerArgs...)
	if err != nil {
		return err
	}
	defer p.stop()
	var hello peerHello
	if err := p.read(&hello); err != nil {
		return err
	}
	b.report.Peer = PeerName + " " + hello.Version
	clients, err := start(ctx, b.o.Binary, b.dir, "clients-peer", b.o.ClientsArgs...)
	if err != nil {
		return err
	}
	defer clients.stop()
	publisher, err := newPublisher(ctx, hello.MQTT)
	if err != nil {
		return err
	}
	defer publisher.close()
	s := &stage{
		side: theirs, report: b.report, pid: p.pid(), timing: b.o.timing, clients: clients, say: b.sayf, send: publisher.send, content: b.o.Size,
		collect: func(context.Context) error { return p.ask(peerOrder{Op: "collect"}, &peerOrder{}) },
	}
	return b.peerCrowd(ctx, s, hello.MQTT)
}

func (b *bench) peerCrowd(ctx context.Context, s *stage, address string) error {
	n := b.o.Devices
	all := order{
		MQTT: address, Count: n, Version: version311, Anonymous: true, Topic: peerTopic, QoS: 0,
		Concurrency: b.o.ConnectConcurrency, Seconds: connectTime,
	}
	err := b.connections(ctx, s, func() error { return s.connect(ctx, sectionConnect, "connected at QoS 0, with SUBSCRIBE", all) }, n)
	if err != nil {
		return err
	}
	if !b.o.Parts.Broadcast {
		return s.disconnect(ctx)
	}
	if err := s.broadcasts(ctx, 0, n, b.o.Messages, b.o.Size); err != nil {
		return err
	}
	if err := s.disconnect(ctx); err != nil {
		return err
	}
	all.QoS, all.Count = 1, min(n, peerAckDevices)
	messages := min(b.o.Messages, peerAckMessages)
	if all.Count < n || messages < b.o.Messages {
		b.report.notef("%s at QoS 1: %d clients and %d messages only, because it takes long", PeerName, all.Count, messages)
	}
	if err := s.connect(ctx, sectionConnect, "connected at QoS 1, with SUBSCRIBE", all); err != nil {
		return err
	}
	if err := s.broadcasts(ctx, 1, all.Count, messages, b.o.Size); err != nil {
		return err
	}
	return s.disconnect(ctx)
}

// publisher publishes to the peer.
type publisher struct {
	conn *simulate.Conn
	done chan struct{}
	id   uint16
}

func newPublisher(ctx context.Context, address string) (*publisher, error) {
	p := &publisher{done: make(chan struct{})}
	conn, err := simulate.Connect(ctx, simulate.ConnOptions{
		Address: address, Version: mqtt.V311, ClientID: "bench-publisher", CleanStart: true, KeepAlive: time.Minute, Handler: p,
	})
	if err != nil {
		return nil, fmt.Errorf("publisher: %w", err)
	}
	p.conn = conn
	go func() {
		defer close(p.done)
		_ = conn.Serve() // if it ends, the next message does not arrive, and that is reported
	}()
	return p, nil
}

func (p *publisher) send(_ context.Context, qos byte, contents []string) error {
	list := make([]mqtt.Publish, len(contents))
	for i, content := range contents {
		list[i] = mqtt.Publish{QoS: qos, Topic: []byte(peerTopic), Payload: []byte(content)}
		if qos > 0 {
			p.id = p.id%65_535 + 1
			list[i].PacketID = p.id
		}
	}
	return p.conn.PublishAll(list...)
}

func (p *publisher) close() {
	_ = p.conn.Close()
	<-p.done
}

// Published implements simulate.Handler: it has no subscription.
func (*publisher) Published(*mqtt.Publish) {}

// Acked implements simulate.Handler.
func (*publisher) Acked(uint16, mqtt.Code) {}
