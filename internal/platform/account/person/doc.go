// Package person owns people: who signs up, signs in, and for which account they act.
//
// Tables: account_person_user (a person), account_person_subject (who is bound), account_person_account (an account: who is bound and owns apps),
// account_person_member, account_person_invitation, account_person_token (of the API); account_person_draft, account_person_code and
// account_person_ticket (steps that have been begun and come back once); account_person_session, account_person_login, account_person_throttle;
// account_person_totp, account_person_recovery_code, account_person_passkey, account_person_binding (ways to prove who is
// there); account_person_contact, account_person_change, account_person_check, account_person_check_due, account_person_recovery (what happened to a person's data).
//
// No events: what others must do in the same transaction comes through Courier and the Hook of a completion. Everything
// privileged has a row in the audit log, by the same transaction.
//
// Invariants:
//   - nobody exists without completion: the row of a person, of their account and of whatever the hook writes (acceptance
//     of an agreement) are of one transaction. What is not complete within a day is purged with its addresses;
//   - an e-mail address and a mobile number belong to one person at most (a unique index on their blind indexes decides a
//     race). Addresses and names are sealed; nobody finds them without the keys;
//   - what is presented to prove something is stored as a hash (random tokens: SHA-256; codes of few digits: an HMAC under a
//     key that is not in the database; passwords: argon2id), and every code, link, invitation, challenge and recovery code works once;
//   - known and unknown names and addresses get the same answer after the same work: sign-up does not look addresses up
//     before they are proved; log-in hashes once and counts failures for both; recovery writes a code and calls the
//     courier for both;
//   - a token of a session is never taken over from the caller. It changes with every rise of what the session may do;
//   - roles and memberships are read with every request, so who is removed is out at once, their tokens too;
//   - an account always has an owner whose membership does not end, an installation always has an operator who is owner.
//     The row of the account, or of the first user for operators, is locked before its owners are counted;
//   - codes that go to a mobile number prove that number and nothing else: no one signs in or recovers by one, because
//     carriers give numbers to somebody else;
//   - the initial applicant of an account is written once.
//
// Order of locks: user, account, member, everything else, audit log.
package person
