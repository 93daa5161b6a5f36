package segment

import (
	"context"
	"encoding/json"
)

type createABTestInput struct {
	AppKey string `path:"app_key"`
	Body   struct {
		Name     string          `json:"name" minLength:"1" maxLength:"255" doc:"for people"`
		Audience json.RawMessage `json:"audience" doc:"whom the test divides: \"all\", or an expression as of a segment"`
		Groups   []struct {
			Name    string `json:"name" minLength:"1" maxLength:"255"`
			Percent int    `json:"percent" minimum:"1" maximum:"100"`
		} `json:"groups" minItems:"1" maxItems:"20" doc:"at most 100 percent together; the others are in no group"`
	}
}

type renameABTestInput struct {
	AppKey string `path:"app_key"`
	ID     string `path:"id" maxLength:"64"`
	Body   struct {
		Version int64  `json:"version" minimum:"1" doc:"version that the change was made from"`
		Name    string `json:"name" minLength:"1" maxLength:"255"`
	}
}

type abtestRow struct {
	ID        string          `json:"id"`
	Name      string          `json:"name"`
	Audience  json.RawMessage `json:"audience"`
	Groups    []TestGroup     `json:"groups"`
	Version   int64           `json:"version"`
	CreatedAt int64           `json:"created_at" doc:"Unix milliseconds"`
	UpdatedAt int64           `json:"updated_at" doc:"Unix milliseconds"`
}

type abtestOutput struct{ Body abtestRow }

type listABTestsInput struct {
	AppKey string `path:"app_key"`
	Cursor string `query:"cursor" pattern:"^(abt_[0-9a-f]{32})?$" doc:"next of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"50"`
}

type listABTestsOutput struct {
	Body struct {
		Tests []abtestRow `json:"abtests" doc:"in order of creation"`
		Next  string      `json:"next" doc:"cursor of the next page; empty: this is the last"`
	}
}

type countABTestOutput struct {
	Body struct {
		Devices uint64   `json:"devices"`
		Groups  []uint64 `json:"groups" doc:"devices of each group, in the order of the test's groups"`
	}
}

func (r *routes) createTest(ctx context.Context, in *createABTestInput) (*abtestOutput, error) {
	groups := make([]TestGroup, len(in.Body.Groups))
	for i, g := range in.Body.Groups {
		groups[i] = TestGroup{Name: g.Name, Percent: g.Percent}
	}
	t, err := r.s.CreateTest(ctx, r.app(ctx), in.Body.Name, in.Body.Audience, groups)
	return r.answerTest(t, err)
}

func (r *routes) getTest(ctx context.Context, in *oneInput) (*abtestOutput, error) {
	t, err := r.s.GetTest(ctx, r.app(ctx), in.ID)
	return r.answerTest(t, err)
}

func (r *routes) renameTest(ctx context.Context, in *renameABTestInput) (*abtestOutput, error) {
	t, err := r.s.RenameTest(ctx, r.app(ctx), in.ID, in.Body.Version, in.Body.Name)
	return r.answerTest(t, err)
}

func (r *routes) removeTest(ctx context.Context, in *oneInput) (*struct{}, error) {
	return nil, r.problem(r.s.DeleteTest(ctx, r.app(ctx), in.ID))
}

func (r *routes) countTest(ctx context.Context, in *oneInput) (*countABTestOutput, error) {
	all, groups, err := r.s.CountTest(ctx, r.app(ctx), in.ID)
	if err != nil {
		return nil, r.problem(err)
	}
	out := &countABTestOutput{}
	out.Body.Devices, out.Body.Groups = all, groups
	return out, nil
}

func (r *routes) listTests(ctx context.Context, in *listABTestsInput) (*listABTestsOutput, error) {
	page, err := r.s.ListTests(ctx, r.app(ctx), in.Cursor, in.Limit+1)
	if err != nil {
		return nil, r.problem(err)
	}
	out := &listABTestsOutput{}
	out.Body.Tests = make([]abtestRow, 0, len(page))
	for i, t := range page {
		if i == in.Limit {
			out.Body.Next = page[i-1].ID
			break
		}
		out.Body.Tests = append(out.Body.Tests, abtestRow(*t))
	}
	return out, nil
}

func (r *routes) answerTest(t *Test, err error) (*abtestOutput, error) {
	if err != nil {
		return nil, r.problem(err)
	}
	return &abtestOutput{abtestRow(*t)}, nil
}
