// Package plan owns push plans, the names under which an app's people gather their pushes (options.business_operation_code),
// and answers what is left of the vendor channels' quotas.
//
// Tables: push_plan (one row per plan), push_plan_use (how often each was used, in slots), push_plan_app (a row per app,
// whose lock makes creations in one app follow each other).
//
// It serves /v3/push_plan/… and GET /v3/push/quota of the vendor-compatible push API. Plans answer in the flat envelope,
// errors included, with the codes of the push API; the quota call answers its errors in the standard one.
//
// Invariants:
//   - an app has at most MaxPlans plans; a name is used once per app and compared byte by byte;
//   - Used counts in the transaction of the push that names the plan, so a plan's count is that of accepted pushes. It
//     spreads over slots, so that concurrent pushes of one plan do not wait for each other's commit.
package plan
