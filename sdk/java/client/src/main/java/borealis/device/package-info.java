/**
 * The device side of Borealis in plain Java 8: a {@link borealis.device.Client} registers once over HTTP, stays connected
 * over MQTT 5, hands each message to a {@link borealis.device.Listener} once, and tells the server what the app says of
 * the device, now or when it can.
 *
 * <p>Threads: between start and stop there are at most three. "borealis-device" registers, connects and reads;
 * "borealis-uplink" writes, one for each connection; "borealis-delivery" calls the message handlers. None of the
 * SDK's locks is held while a listener is called.
 *
 * <p>State is kept as five texts in a {@link borealis.device.Storage}: identity, known, receipts, profile, tokens.
 */
package borealis.device;
