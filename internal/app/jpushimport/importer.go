package jpushimport

import (
	"context"
	"errors"
	"io"
)

const (
	// maxBatch is how many devices go to the server at once, maxBatchBytes about how many bytes they have.
	maxBatch      = 500
	maxBatchBytes = 512 << 10
	// fetchedBatch is maxBatch where each device costs a call to the vendor: so much is asked for again after a break.
	fetchedBatch = 50
)

// Refused is a device of a batch that the server did not take.
type Refused struct {
	Index  int    `json:"index"`
	Field  string `json:"field,omitempty"`
	Reason string `json:"reason"`
}

// Result is what the server did with a batch.
type Result struct {
	Created int       `json:"created"`
	Updated int       `json:"updated"`
	Known   int       `json:"known"`
	Claimed int       `json:"claimed"`
	Gone    int       `json:"gone"`
	Refused []Refused `json:"refused"`
}

// Importer is one run.
type Importer struct {
	Reader *Reader
	// Fetch completes a device from the vendor; its *LineError, without a line, is about this device, others end the run. Optional.
	Fetch func(ctx context.Context, d *Device) error
	// Send brings a batch to the server. Without it the file is only checked.
	Send func(ctx context.Context, batch []Device) (Result, error)
	// State is where the last run ended. Optional.
	State *State
	// Bad is told of each line that is not imported, Progress after each batch. Optional.
	Bad      func(*LineError)
	Progress func(Counts)

	batch []Device
	lines []int
	bytes int
	last  int // number of the last line that is in the batch or was reported
}

// Run imports the rest of the file.
func (im *Importer) Run(ctx context.Context) (Counts, error) {
	if im.State == nil {
		im.State = &State{}
	}
	limit := maxBatch
	if im.Fetch != nil {
		limit = fetchedBatch
	}
	for {
		d, line, err := im.Reader.Next()
		var bad *LineError
		switch {
		case errors.Is(err, io.EOF):
			if err := im.flush(ctx); err != nil {
				return im.State.Counts, err
			}
			return im.State.Counts, im.State.done()
		case err != nil && !errors.As(err, &bad):
			return im.State.Counts, err
		case line <= im.State.Lines:
			continue
		case bad == nil && im.Fetch != nil:
			if err := im.Fetch(ctx, &d); err != nil {
				if !errors.As(err, &bad) {
					return im.State.Counts, errors.Join(err, im.flush(ctx))
				}
				bad.Line = line
			}
		}
		if im.last = line; bad != nil {
			im.bad(bad)
			continue
		}
		im.add(d, line)
		if len(im.batch) >= limit || im.bytes >= maxBatchBytes {
			if err := im.flush(ctx); err != nil {
				return im.State.Counts, err
			}
		}
	}
}

func (im *Importer) bad(e *LineError) {
	im.State.Counts.Bad++
	if im.Bad != nil {
		im.Bad(e)
	}
}

func (im *Importer) add(d Device, line int) {
	im.batch, im.lines = append(im.batch, d), append(im.lines, line)
	im.bytes += 100 + len(d.RegistrationID) + len(d.Alias) + len(d.Mobile)
	for _, tag := range d.Tags {
		im.bytes += len(tag) + 3
	}
}

// flush sends what has gathered and notes that its lines are done.
func (im *Importer) flush(ctx context.Context) error {
	c := &im.State.Counts
	if len(im.batch) > 0 && im.Send != nil {
		r, err := im.Send(ctx, im.batch)
		if err != nil {
			return err
		}
		c.Created += r.Created
		c.Updated += r.Updated
		c.Known += r.Known
		c.Claimed += r.Claimed
		c.Gone += r.Gone
		for _, x := range r.Refused {
			reason := x.Reason
			if x.Field != "" {
				reason = x.Field + ": " + reason
			}
			im.bad(&LineError{im.lines[x.Index], reason})
		}
	} else if im.Send == nil {
		c.Known += len(im.batch)
	}
	im.batch, im.lines, im.bytes = im.batch[:0], im.lines[:0], 0
	im.State.Lines = max(im.State.Lines, im.last)
	if im.Progress != nil {
		im.Progress(*c)
	}
	return im.State.save()
}
