// Package pushkit is what the simulators of Huawei's two push services have in common: the service account and the check of what it
// signs, answers, faults, counts of a day, delivery to phones, and receipts with their signature.
package pushkit
