// Package testdevice owns an app's list of test devices: the devices that a push with options.test_model goes to.
//
// Tables: push_testdevice (one row per device), push_testdevice_app (a row per app, whose lock makes changes of one app
// follow each other).
//
// It serves /v3/test/model/… of the vendor-compatible device API, with the codes of that family.
//
// Invariants:
//   - an app has at most MaxDevices test devices;
//   - a device is kept by its ordinal, so a list outlives nothing that the registry does not know: model, time of
//     registration and registration id are asked for when they are shown. A device that has ended stays listed, without
//     model and time, until it is deleted by its old id; it matches no push, as it is in no audience.
package testdevice
