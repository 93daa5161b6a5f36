/** What the device's owner agreed to. */
export interface Consent {
    version: string;
    purposes: string[];
}
/** A change of tags: set replaces all, add and remove do not. */
export interface Tags {
    set?: string[];
    add?: string[];
    remove?: string[];
}
/** A change of the device's profile, as topic up/profile takes it. What is absent stays as it is. */
export interface Profile {
    tags?: Tags;
    alias?: string;
    alias_signature?: string;
    attributes?: Record<string, string | null>;
    timezone?: string;
    push_enabled?: boolean;
    notifications_enabled?: boolean;
    silence?: {
        from: string;
        to: string;
    } | null;
    consent?: Consent;
}
/** The device's address at a vendor. */
export interface Token {
    /** apns, fcm, huawei, honor, xiaomi, oppo, vivo, meizu, hmos or webpush. */
    channel: string;
    /** As the vendor gave it; empty deletes it. */
    token: string;
    /** production (also when absent) or sandbox. */
    environment?: string;
}
export declare const isEmpty: (p: Profile) => boolean;
/** The change that p followed by q makes: the last word about each thing wins. */
export declare function then(p: Profile, q: Profile): Profile;
/** Splits p into one member and the others. */
export declare function first(p: Profile): [one: Profile, rest: Profile];
/** What a device that has just been made must be told of all that was said: nothing has to be removed from it. */
export declare function forNew(p: Profile): Profile;
/** p, which was said, without what need not be remembered. */
export declare function remembered(p: Profile): Profile;
