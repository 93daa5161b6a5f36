// Package segment owns the named audiences of an app: user segments, which audience.segment of a push names, and A/B
// tests, whose groups audience.abtest names.
//
// Tables: push_segment, push_abtest, push_abtest_group (one row per group), push_segment_app (a row per app, whose lock
// makes changes in one app follow each other).
//
// It serves segments and tests in the native API. ResolveSegment and ResolveABTest say who is meant at the moment of the
// call; nothing is kept in memory, so every node sees every change at once.
//
// A segment is an expression (Audience): the audience object of a push, with platform, with segment for other segments,
// and with any, all and not over expressions. What is present in one object is intersected. A test is an audience divided
// into groups by percent. The group of a device follows from the test and its ordinal alone, so it stays when others
// join or leave, and two tests divide independently of each other. Groups cannot be changed, as devices would change
// sides in the middle of a test.
//
// Invariants:
//   - what a segment names exists: one that others name cannot be deleted; no segment reaches itself;
//   - an expression nests at most maxDepth deep and has at most maxClauses conditions; with the segments that it reaches,
//     each counted once, it has at most maxReach, over at most maxChain segments in a row. Changes are checked for
//     everything that reaches what is changed. Each condition costs at most one evaluation over the whole app;
//   - at most maxResolving resolutions run at a time on a node; the others wait;
//   - an id that is unknown, and a segment that vanishes meanwhile, match nobody.
package segment
