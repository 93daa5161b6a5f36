package edge

import (
	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/engine/edge/mqtt"
)

// choreStep is how many sessions a chore handles between looks at the time.
const choreStep = 32

// eachLater calls do for each session, over as many slices as it takes.
func (l *loop) eachLater(sessions []*session, do func(*session)) {
	if len(sessions) == 0 {
		return
	}
	l.chores = append(l.chores, func(run slice) bool {
		for len(sessions) > 0 {
			n := min(choreStep, len(sessions))
			for _, s := range sessions[:n] {
				do(s)
			}
			sessions = sessions[n:]
			if run.over() {
				break
			}
		}
		return len(sessions) == 0
	})
}

// kick ends the connections that a Kick names and that are in this loop.
func (l *loop) kick(k edgewire.Kick) {
	r := l.rosters[k.App]
	if r == nil {
		return
	}
	if !k.All {
		if s := r.online[k.Ordinal]; s != nil {
			l.kickOne(s, k.Below)
		}
		return
	}
	all := make([]*session, 0, len(r.online))
	for _, s := range r.online {
		all = append(all, s)
	}
	l.eachLater(all, func(s *session) { l.kickOne(s, k.Below) })
}

func (l *loop) kickOne(s *session, below uint64) {
	switch {
	case s.state != online:
	case below == 0:
		l.end(s, mqtt.NotAuthorized, endKicked)
	case s.conn < below:
		l.end(s, mqtt.SessionTakenOver, endTakenOver)
	}
}

// farewell ends every connection because the edge stops.
func (l *loop) farewell() {
	l.eachLater(append([]*session(nil), l.sessions...), func(s *session) {
		switch s.state {
		case handshake:
			l.drop(s, endShutdown)
		default:
			l.end(s, mqtt.ServerShuttingDown, endShutdown)
		}
	})
}
