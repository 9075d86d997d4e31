-- +goose Up

-- A wallet belongs to the tenant that made it; those from before, and those that
-- replicas of before make meanwhile, to the default tenant.
alter table wallets add column tenant_id text not null default 'default';

create index wallets_by_tenant on wallets (tenant_id, vault, wallet_index);
