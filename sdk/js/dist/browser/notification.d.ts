import type { Message } from "../message.js";
/** What a notification carries, for its click. */
export interface Shown {
    borealis: {
        id: string;
        url: string | undefined;
        message: Message;
    };
}
/** A message with the members that only web push brings. */
export type WebMessage = Message & {
    url?: string;
    foreground?: boolean;
    app_badge?: {
        set?: number;
        add?: number;
    };
};
/** Shows a message, in the place of the one it overrides; a message that is shown again takes its own place, without a sound. */
export declare function show(registration: ServiceWorkerRegistration, m: WebMessage): Promise<void>;
/** Takes a message off the screen. */
export declare function withdraw(registration: ServiceWorkerRegistration, id: string): Promise<void>;
