import type { Silence } from "./message.js";
import type { Consent, Profile, Token } from "./profile.js";
import type { Storage } from "./storage.js";
/** Bounds of what is kept. */
export declare const maxSeen = 500;
export declare const maxReceipts = 1000;
export declare const batchSize = 100;
export declare const maxTags = 1000;
export declare const maxMembers = 64;
/** Who the device is. It is empty before consent. */
export interface Identity {
    consent?: Consent;
    install_id?: string;
    registration_id?: string;
    secret?: string;
    mqtt?: string[];
    /** Seconds. */
    keep_alive?: number;
    /** The last registration id, also after it became void. */
    known?: string;
    /** The server's clock minus the device's, milliseconds. */
    offset?: number;
    /** The identity whose end the server has not heard of. */
    ending?: Credentials;
}
export interface Credentials {
    registration_id: string;
    secret: string;
}
/** What the program said of the device. */
export interface Words {
    /** All of it, for a new registration. */
    said: Profile;
    /** What the server has not acknowledged. */
    pending: Profile;
    tokens: Record<string, Token>;
    pending_tokens: Record<string, Token>;
    off: boolean;
    silence: Silence | null;
}
/** What happened to a message, as topic up/events takes it. */
export interface Receipt {
    id: string;
    event: "displayed" | "clicked" | "dismissed";
    at: number;
}
/** Messages that need not be shown any more, the oldest first. */
export interface Seen {
    /** "type/id" of those that were handed over, or never will be. */
    messages: string[];
    /** Ids that were withdrawn or overridden. */
    gone: string[];
}
export declare const noWords: () => Words;
/** Names of the documents. */
export declare const documents: readonly ["identity", "profile", "receipts", "seen"];
/** Everything a device remembers, and its way into the storage. */
export declare class State {
    private readonly storage;
    identity: Identity;
    words: Words;
    receipts: Receipt[];
    seen: Seen;
    /** What of the profile is under way to the server, and still to be kept. */
    flying: Profile | undefined;
    private last;
    constructor(storage: Storage);
    load(): Promise<void>;
    /** Stores a document as it is when its turn comes; fulfilled when it is stored. */
    save(name: (typeof documents)[number], merged?: () => unknown): Promise<void>;
    remove(name: (typeof documents)[number]): Promise<void>;
    /** One access after the other, in the order they were asked for. */
    private turn;
    private document;
}
/** list with v at its end, without the oldest beyond limit. */
export declare const bounded: (list: string[], v: string, limit: number) => string[];
