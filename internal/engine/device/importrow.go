package device

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/db"
)

// importState is what became of an imported id. The numbers are stored.
type importState uint8

const (
	importUnclaimed importState = iota + 1
	importClaimed
	importGone
)

// importRow is a row of device_import without its id.
type importRow struct {
	ordinal uint32
	state   importState
}

// queryImports finds imported ids of an app in a transaction.
func queryImports(ctx context.Context, tx *db.Tx, app int64, ids []string) (map[string]importRow, error) {
	args := make([]any, 0, len(ids)+1)
	args = append(args, app)
	for _, id := range ids {
		args = append(args, id)
	}
	rows, err := tx.Query(ctx, `select imported_id, ordinal, state from device_import where app_id = $1 and imported_id in (`+list(len(ids))+`)`, args...)
	if err != nil {
		return nil, fmt.Errorf("device: find imported ids: %w", err)
	}
	out := make(map[string]importRow, len(ids))
	for rows.Next() {
		var (
			id string
			w  importRow
		)
		if err = rows.Scan(&id, &w.ordinal, &w.state); err != nil {
			break
		}
		out[id] = w
	}
	if err = errors.Join(err, rows.Err(), rows.Close()); err != nil {
		return nil, fmt.Errorf("device: find imported ids: %w", err)
	}
	return out, nil
}

// list is the placeholders of a list after one other parameter; the lengths that come all the time are kept prepared.
func list(n int) string {
	if n == 1 || n == importBatch {
		return db.InFixed(2, n)
	}
	return db.In(2, n)
}

func insertImport(ctx context.Context, tx *db.Tx, app int64, id string, ordinal uint32, version int64) error {
	_, err := tx.Exec(ctx, `insert into device_import (app_id, imported_id, ordinal, state, version) values ($1, $2, $3, $4, $5)`,
		app, id, int64(ordinal), int64(importUnclaimed), version)
	if err != nil {
		return fmt.Errorf("device: remember imported id: %w", err)
	}
	return nil
}

// moveImport gives the imported id of a device another state, if it has one in the state from; unclaimed is how the
// number of unclaimed devices changes by that.
func moveImport(ctx context.Context, tx *db.Tx, app int64, ordinal uint32, from, to importState, unclaimed int) error {
	n, err := tx.Exec(ctx, `update device_import set state = $4, version = (select version + 1 from device_import_head where app_id = $1)
		where app_id = $1 and ordinal = $2 and state = $3`, app, int64(ordinal), int64(from), int64(to))
	if err != nil {
		return fmt.Errorf("device: change imported id: %w", err)
	}
	if n == 0 {
		return nil
	}
	_, err = changeImports(ctx, tx, app, 0, unclaimed)
	return err
}

// changeImports numbers a change of the app's imported ids, and counts. The transaction holds audience.Lock, so numbers
// become visible in their order.
func changeImports(ctx context.Context, tx *db.Tx, app int64, total, unclaimed int) (version int64, err error) {
	err = tx.QueryRow(ctx, `insert into device_import_head (app_id, version, total, unclaimed) values ($1, 1, $2, $3)
		on conflict (app_id) do update set version = device_import_head.version + 1,
			total = device_import_head.total + excluded.total, unclaimed = device_import_head.unclaimed + excluded.unclaimed
		returning version`, app, total, unclaimed).Scan(&version)
	if err != nil {
		return 0, fmt.Errorf("device: number change of imported ids: %w", err)
	}
	return version, nil
}

// countHolders counts the devices of the aliases that items may take, if the app limits them.
func (im *importer) countHolders(ctx context.Context, items []*importItem) error {
	if im.app.Settings.AliasDevices == 0 {
		return nil
	}
	var aliases []any
	for _, item := range items {
		if _, ok := im.holders[item.Alias]; !ok && item.Alias != "" {
			im.holders[item.Alias] = 0
			aliases = append(aliases, item.Alias)
		}
	}
	if len(aliases) == 0 {
		return nil
	}
	rows, err := im.tx.Query(ctx, `select alias, count(*) from device_device where app_id = $1 and alias in (`+list(len(aliases))+`)
		and alias <> '' group by alias`, slices.Concat([]any{im.app.ID}, aliases)...)
	if err != nil {
		return fmt.Errorf("device: count devices of aliases: %w", err)
	}
	for rows.Next() {
		var (
			alias string
			n     int
		)
		if err = rows.Scan(&alias, &n); err != nil {
			break
		}
		im.holders[alias] = n
	}
	if err = errors.Join(err, rows.Err(), rows.Close()); err != nil {
		return fmt.Errorf("device: count devices of aliases: %w", err)
	}
	return nil
}

// ImportCount says how far an app's move is.
type ImportCount struct {
	// Total is how many devices were imported, Unclaimed how many of them nobody has claimed and nobody deleted.
	Total, Unclaimed int64
}

// Imports counts the imported devices of an app.
func (r *Registry) Imports(ctx context.Context, app *gate.App) (ImportCount, error) {
	var c ImportCount
	err := r.DB.QueryRow(ctx, `select total, unclaimed from device_import_head where app_id = $1`, app.ID).Scan(&c.Total, &c.Unclaimed)
	if err != nil && !errors.Is(err, db.ErrNoRows) {
		return c, fmt.Errorf("device: count imported: %w", err)
	}
	return c, nil
}
