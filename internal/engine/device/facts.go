package device

import (
	"context"
	"fmt"
	"slices"

	"borealis/internal/engine/audience"
	"borealis/internal/kernel/db"
)

// Facts is what others show of a device beside its id.
type Facts struct {
	Platform audience.Platform
	Model    string
	// RegisteredAt is Unix milliseconds.
	RegisteredAt int64
}

// Facts reads what is known of devices by ordinal; those that do not exist or are gone are left out.
func (r *Registry) Facts(ctx context.Context, app int64, ordinals []uint32) (map[uint32]Facts, error) {
	out := make(map[uint32]Facts, len(ordinals))
	for part := range slices.Chunk(ordinals, maxIDs) {
		if err := r.readFacts(ctx, app, part, out); err != nil {
			return nil, fmt.Errorf("device: facts: %w", err)
		}
	}
	return out, nil
}

func (r *Registry) readFacts(ctx context.Context, app int64, ordinals []uint32, into map[uint32]Facts) error {
	args := make([]any, 0, len(ordinals)+2)
	args = append(args, app, int64(gone))
	for _, o := range ordinals {
		args = append(args, int64(o))
	}
	rows, err := r.DB.Query(ctx, `select ordinal, platform, model, created_at from device_device
		where app_id = $1 and state <> $2 and ordinal in (`+db.In(3, len(ordinals))+`)`, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var (
			o uint32
			f Facts
		)
		if err := rows.Scan(&o, &f.Platform, &f.Model, &f.RegisteredAt); err != nil {
			return err
		}
		into[o] = f
	}
	return rows.Err()
}
