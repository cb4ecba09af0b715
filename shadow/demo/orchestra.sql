-- The target schema of the demo's application, as its database designer made it. `shadow schema` adds `_rest` to each
-- table; nothing else of it changes.
CREATE SCHEMA IF NOT EXISTS orchestra;

CREATE TABLE orchestra.agents (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    name VARCHAR(255) NOT NULL,
    description TEXT,
    capabilities JSONB,
    autonomy_level INTEGER,
    model_config JSONB,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE orchestra.workflows (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    name VARCHAR(255) NOT NULL,
    definition JSONB NOT NULL,
    status VARCHAR(50),
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE orchestra.memory_snapshots (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    agent_id UUID REFERENCES orchestra.agents(id),
    snapshot_data JSONB,
    vector_ids TEXT[],
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE orchestra.audit_logs (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    event_type VARCHAR(100),
    actor VARCHAR(255),
    resource_type VARCHAR(100),
    resource_id VARCHAR(255),
    details JSONB,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE orchestra.sessions (
    id VARCHAR(255) PRIMARY KEY,
    data JSONB,
    expires_at TIMESTAMP,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);

CREATE INDEX idx_agents_name ON orchestra.agents(name);
CREATE INDEX idx_workflows_status ON orchestra.workflows(status);
CREATE INDEX idx_audit_logs_event_type ON orchestra.audit_logs(event_type);
CREATE INDEX idx_sessions_expires ON orchestra.sessions(expires_at);
