package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/lifecycle"
)

// modules is the table of what runs on this node. Stop goes from the bottom up: first no more devices and callers,
// then what works for them, then the stores.
func (a *App) modules() []lifecycle.Module {
	var list []lifecycle.Module
	served := []string{"bus"}
	list = append(list, lifecycle.Module{Name: "bus", Ready: a.busReady})
	if c := a.core; c != nil {
		served = append(served, "leases")
		list = append(list,
			lifecycle.Module{Name: "account", Needs: []string{"bus"}, Start: c.account.Load, Run: c.account.Run},
			lifecycle.Module{Name: "presence", Needs: []string{"bus"}, Start: c.presence.Start, Run: c.presence.Run},
			lifecycle.Module{Name: "audience", Needs: []string{"bus"}, Run: c.audience.Run},
			lifecycle.Module{Name: "devices", Needs: []string{"audience", "account"}, Run: c.devices.Run},
			lifecycle.Module{Name: "outbox", Needs: []string{"bus"}, Run: c.outbox.Run},
			lifecycle.Module{Name: "blobs", Needs: []string{"bus"}, Run: c.blobs.Run},
			lifecycle.Module{Name: "users", Needs: []string{"presence", "outbox"}, Run: c.users.Run},
			lifecycle.Module{Name: "push", Needs: []string{"devices", "presence", "outbox"}, Run: c.push.Run},
			lifecycle.Module{Name: "webpush", Needs: []string{"push"}, Run: c.webpush.Run},
			lifecycle.Module{Name: "hooks", Needs: []string{"push"}, Run: c.hooks.Run},
			lifecycle.Module{Name: "jobs", Needs: []string{"push"}, Run: c.jobs.Run},
			lifecycle.Module{Name: "leases", Needs: []string{"push"}, Run: c.leases.Run, Ready: c.leasesReady, Stop: c.stopServing},
			lifecycle.Module{Name: "admin", Needs: []string{"leases"}, Start: c.admin.start, Run: c.admin.run, Stop: c.admin.stop},
		)
	}
	if a.edge != nil {
		list = append(list, lifecycle.Module{Name: "edge", Needs: served, Start: a.edge.Start, Stop: a.stopEdge})
		served = append(served, "edge")
	}
	list = append(list, lifecycle.Module{
		Name: "http", Needs: served, Start: a.public.Listen, Stop: a.public.Shutdown,
		Run: func(context.Context) error { return a.public.Serve() },
	})
	if a.private != nil {
		list = append(list, lifecycle.Module{
			Name: "internal", Needs: []string{"bus"}, Start: a.private.Listen, Stop: a.private.Shutdown,
			Run: func(context.Context) error { return a.private.Serve() },
		})
	}
	return list
}

// edgeDrain is how long a stopping edge waits for devices to go and for receipts to be confirmed.
const edgeDrain = 6 * time.Second

// stopEdge drains. Receipts that no core node confirmed in time are no failure: their messages are delivered again.
func (a *App) stopEdge(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, edgeDrain)
	defer cancel()
	if err := a.edge.Stop(ctx); err != nil {
		a.log.Warn("edge drained in part", "err", err)
	}
	return nil
}

func (a *App) busReady() error {
	if !a.bus.Connected() {
		return errors.New("not connected to NATS")
	}
	return nil
}

// leasesReady: a single node is ready when it serves all partitions; in a cluster another node may have them all.
func (c *core) leasesReady() error {
	if n := c.owner.partitions(); c.db.Engine() == db.SQLite && n < edgewire.Partitions {
		return fmt.Errorf("%d of %d partitions are loaded", n, edgewire.Partitions)
	}
	return nil
}

func (c *core) stopServing(context.Context) error {
	c.owner.wait()
	return nil
}
