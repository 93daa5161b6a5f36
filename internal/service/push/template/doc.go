// Package template owns push templates: pushes without an audience whose texts have variables, {{name}}, that each call
// fills in. One call makes up to 1,000 pushes, each with copy of its own.
//
// Tables: push_template (one row per template), push_template_app (a row per app, whose lock makes creations in one app
// follow each other).
//
// It serves POST /v3/push/template and POST /v3/push/template/schedule of the vendor-compatible push API in the flat
// envelope, errors included, and the templates themselves in the native API. What a push becomes is its parent's
// (Pusher, Scheduler).
//
// A template is a push object without audience and cid. Variables may be wherever it has a string value, never in a key.
// A name is 1 to 64 bytes of letters, digits and _ . - and may have spaces around it; braces around anything else are
// text. A value is put in as text: it is escaped, not looked at for variables, and cannot become anything but the string
// it is in.
//
// Invariants:
//   - what render makes is JSON with the structure of the template, whatever the values (render.go is pure and fuzzed);
//   - a template is stored only if its push, filled with its samples, is accepted by the push parser; every rendered push
//     goes through that parser too, so sizes and values are checked as they are sent;
//   - the members of an element's options replace those of the template one by one; null takes one away. Strings in them
//     are no templates;
//   - a call is refused as a whole, with nothing sent, for what concerns the call (its shape, the template, the rules of
//     params); an element that lacks a value, or whose push is refused, has its error in the list beside its trace_id;
//   - bounds: a body has 2 MiB, a template 32 KiB and MaxVariables variables, a rendered push 64 KiB beside its audience
//     and options, all pushes of a call together 16 MiB; an app has at most MaxTemplates.
package template
