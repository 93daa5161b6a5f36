/** A message for the app itself. */
export interface Custom {
    title?: string;
    content?: unknown;
    content_type?: string;
    extras?: unknown;
}
/** What was pushed, with the members that came. */
export interface Message {
    id: string;
    /** notification, message or inapp. */
    type: string;
    title?: string;
    alert?: string;
    extras?: unknown;
    options?: Record<string, unknown>;
    /** A custom message; a notification may carry one too. */
    message?: Custom;
    inapp?: unknown;
    /** The id of the message that this one replaces on the screen. */
    override?: string;
    /** Unix milliseconds by the server's clock. */
    expires_at?: number;
    /** The silence hours of the device's owner forbid sound, vibration and pop-ups. */
    silent: boolean;
}
/** A frame of topic push, read. */
export interface Frame extends Message {
    withdraw?: string;
}
/** Reads a payload of topic push; a string says why it is to be acknowledged and forgotten. */
export declare function parseFrame(payload: Uint8Array): Frame | string;
/** Checks what JSON.parse gave. */
export declare function frameOf(v: unknown): Frame | string;
export declare const keyOf: (f: Frame) => string;
/** Hours in the device's time, "HH:MM": from is in it, to is not. It passes midnight if from is later; equal: all day. */
export interface Silence {
    from: string;
    to: string;
}
/** Throws if s is not made of times of day. */
export declare function checkSilence(s: Silence | null): void;
/** Whether the local time of day of t is within the hours. */
export declare function covers(s: Silence | null | undefined, t: Date): boolean;
