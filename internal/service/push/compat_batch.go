package push

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/web"
	"borealis/internal/kernel/web/compat"
	"borealis/internal/service/push/payload"
)

const (
	// maxBatch is how many pushes one call may have.
	maxBatch = 1000
	// maxBatchBody bounds the body of a batch, in bytes.
	maxBatchBody = 8 << 20
)

// batchItem is what became of one push of a batch.
type batchItem struct {
	MsgID string            `json:"msg_id,omitempty"`
	Error *compat.ErrorBody `json:"error,omitempty"`
}

// compatBatch answers the calls that bring many pushes to one device or alias each. audience is the member of the push
// object that the target of an entry becomes.
func (s *Service) compatBatch(audience string) gate.Handler {
	return func(w http.ResponseWriter, r *http.Request, app *gate.App) {
		list, err := batchEntries(r)
		if err != nil {
			compat.WriteError(w, err, errInternal)
			return
		}
		out := make(map[string]batchItem, len(list))
		pushes := make([]*payload.Push, 0, len(list))
		cids := make([]string, 0, len(list))
		for cid, entry := range list {
			body, err := batchPush(cid, entry, audience)
			if err == nil {
				var p *payload.Push
				if p, err = s.Parse(app, body); err == nil {
					pushes, cids = append(pushes, p), append(cids, cid)
					continue
				}
			}
			out[cid] = batchItem{Error: compat.BodyOf(err, errInternal)}
		}
		var failure error
		accepted := 0
		for i, result := range s.AcceptAll(r.Context(), app, pushes) {
			if result.Err == nil {
				accepted++
				out[cids[i]] = batchItem{MsgID: FormatID(result.Msg)}
				continue
			}
			if _, refused := errors.AsType[*compat.Error](result.Err); !refused {
				failure = result.Err
			}
			out[cids[i]] = batchItem{Error: compat.BodyOf(s.known(r, result.Err), errInternal)}
		}
		if failure != nil && accepted == 0 {
			s.refuse(w, r, failure)
			return
		}
		compat.Write(w, http.StatusOK, out)
	}
}

func batchEntries(r *http.Request) (map[string]json.RawMessage, error) {
	if r.Header.Get("X-Encrypt-Type") != "" {
		return nil, errEncrypted
	}
	web.AllowBody(r, maxBatchBody)
	body, err := compat.Body(r, maxBatchBody)
	if err != nil {
		return nil, err
	}
	var in struct {
		PushList json.RawMessage `json:"pushlist"`
	}
	if err := compat.Decode(body, &in); err != nil {
		return nil, compat.Errorf(400, 1003, "%s", err)
	}
	var list map[string]json.RawMessage
	switch text := bytes.TrimSpace(in.PushList); {
	case len(text) == 0, string(text) == "null", string(text) == "[]":
	case json.Unmarshal(text, &list) != nil:
		return nil, compat.Errorf(400, 1003, "pushlist must be an object of pushes by cid")
	}
	switch n := len(list); {
	case n == 0:
		return nil, compat.Errorf(400, 1002, "Missing parameter: pushlist")
	case n > maxBatch:
		return nil, compat.Errorf(400, 1003, "pushlist: %d pushes are given, at most %d are allowed", n, maxBatch)
	}
	return list, nil
}

// batchPush makes a push object of an entry.
func batchPush(cid string, entry json.RawMessage, audience string) ([]byte, error) {
	var members map[string]json.RawMessage
	if err := compat.Decode(entry, &members); err != nil {
		return nil, compat.Errorf(400, 1003, "the entry must be a push object with a target")
	}
	for _, member := range []string{"audience", "cid"} {
		if _, given := members[member]; given {
			return nil, compat.Errorf(400, 1009, "%s is not accepted in a batch", member)
		}
	}
	var target string
	switch raw, given := members["target"]; {
	case !given:
		return nil, compat.Errorf(400, 1002, "Missing parameter: target")
	case json.Unmarshal(raw, &target) != nil || target == "":
		return nil, compat.Errorf(400, 1003, "target must be a string that is not empty")
	}
	delete(members, "target")
	for member, value := range map[string]any{"cid": cid, "audience": map[string][]string{audience: {target}}} {
		text, err := json.Marshal(value)
		if err != nil {
			return nil, fmt.Errorf("push: encode %s: %w", member, err)
		}
		members[member] = text
	}
	return json.Marshal(members)
}
