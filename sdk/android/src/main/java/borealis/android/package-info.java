/**
 * The device SDK for Android: {@link borealis.android.Push} is a {@link borealis.device.Client} that shows notifications,
 * reports what becomes of them, hands over the tokens of the phone maker's push service, and follows boot, network and
 * foreground. It uses the platform's classes alone, no support library. From Android 5.0 (API 21) on.
 */
package borealis.android;
