package stat

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/db"
)

// sample is who of an app this node has counted as online in an hour.
type sample struct {
	hour int64
	seen *roaring.Bitmap
}

// Sample counts who is connected now as online: whoever stays connected has no event in an hour. Run calls it. An app
// that fails does not hold up the others.
func (u *Users) Sample(ctx context.Context) error {
	var apps []*gate.App
	for app := range u.Gate.Apps {
		apps = append(apps, app)
	}
	var failed error
	mine := make(map[int64]*sample, len(u.samples)) // without those of apps that are not sampled any more
	for _, app := range apps {
		if u.Owns != nil && !u.Owns(app.ID) {
			continue
		}
		connected := u.Connected.Devices(app.ID)
		if connected.IsEmpty() {
			continue
		}
		now := hour.bucket(u.Clock.Now().In(u.zone(app)))
		s := u.samples[app.ID]
		if s == nil || s.hour != now {
			s = &sample{hour: now, seen: roaring.New()}
		}
		mine[app.ID] = s
		connected.AndNot(s.seen)
		if err := u.online(ctx, app.ID, s, connected); err != nil && failed == nil {
			failed = err
		}
	}
	u.samples = mine
	return failed
}

// online counts devices in transactions of one chunk each.
func (u *Users) online(ctx context.Context, app int64, s *sample, devices *roaring.Bitmap) error {
	if devices.IsEmpty() {
		return nil
	}
	parts := u.Platforms.SplitPlatforms(app, devices)
	for _, platform := range slices.Sorted(maps.Keys(parts)) {
		found := make(sightings)
		found.add(app, platform, onlineDevices, s.hour, parts[platform])
		for c, hours := range found {
			one := sightings{c: hours}
			err := u.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error { return one.write(ctx, tx, u.Clock.Now()) })
			if err != nil {
				return fmt.Errorf("stat: sample of app %d: %w", app, err)
			}
			s.seen.Or(hours[s.hour])
		}
	}
	return nil
}
