import type { Message } from "../message.js";

/** Options of showNotification that a push may set in its options. */
const known = ["actions", "badge", "body", "dir", "icon", "image", "lang", "renotify", "requireInteraction", "silent", "tag", "timestamp", "vibrate"];

/** What a notification carries, for its click. */
export interface Shown {
  borealis: { id: string; url: string | undefined; message: Message };
}

/** A message with the members that only web push brings. */
export type WebMessage = Message & { url?: string; foreground?: boolean; app_badge?: { set?: number; add?: number } };

/** Shows a message, in the place of the one it overrides; a message that is shown again takes its own place, without a sound. */
export async function show(registration: ServiceWorkerRegistration, m: WebMessage): Promise<void> {
  if (m.override) await withdraw(registration, m.override);
  const options: Record<string, unknown> = {};
  for (const name of known) if (m.options && name in m.options) options[name] = m.options[name];
  const data: Shown = { borealis: { id: m.id, url: m.url, message: m } };
  options["tag"] ??= m.id;
  if (m.alert !== undefined) options["body"] ??= m.alert;
  if (m.silent) {
    options["silent"] = true;
    delete options["vibrate"]; // together they are an error
    delete options["renotify"];
  }
  await registration.showNotification(m.title || m.alert || "", { ...options, data });
}

/** Takes a message off the screen. */
export async function withdraw(registration: ServiceWorkerRegistration, id: string): Promise<void> {
  for (const n of await registration.getNotifications()) {
    if ((n.data as Partial<Shown> | null)?.borealis?.id === id) n.close();
  }
}
