-- Old tokens are found without looking at the others.
create index device_token_updated on device_token (updated_at);
