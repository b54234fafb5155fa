package pgqueue

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/seed-301537d8/weir/queue/driver"
)

// A store is a schema with these tables:
//
//	weir    one row: the format, so that the schema can be known for a store
//	leader  one row: the term of the last leader, and who it was
//	kv      the map
//	notes   the notes
//
// No row of kv is ever updated. A put inserts a row with the batch's number n,
// and deletes the one before it by its key and number; so of the rows of a key
// one is visible, and the index has it first, before those that are dead.
// Whoever looks a key up stops there. A counter that every batch writes costs the
// same after a million batches, also if a transaction that somebody has forgotten
// keeps vacuum from removing a single row.
//
// The number of a batch is term<<32 plus its number in the term, so nobody need
// know what the leader before has written.
//
// The first four bytes of a value in kv are a checksum of key and value.
const formatVersion = 1

const schemaSQL = `
CREATE SCHEMA IF NOT EXISTS $schema;
CREATE TABLE $schema.weir (format int NOT NULL, made timestamptz NOT NULL DEFAULT now());
CREATE TABLE $schema.leader (term bigint NOT NULL, holder text NOT NULL, since timestamptz NOT NULL);
CREATE TABLE $schema.kv (k bytea NOT NULL, n bigint NOT NULL, v bytea NOT NULL) WITH (
	autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 2000,
	autovacuum_vacuum_insert_scale_factor = 0.2, autovacuum_vacuum_cost_delay = 0,
	autovacuum_analyze_scale_factor = 0.5, toast.autovacuum_vacuum_scale_factor = 0.05,
	toast.autovacuum_vacuum_cost_delay = 0, toast_tuple_target = 4080);
ALTER TABLE $schema.kv ALTER COLUMN k SET STORAGE PLAIN, ALTER COLUMN v SET STORAGE EXTERNAL;
CREATE UNIQUE INDEX kv_key ON $schema.kv (k, n DESC);
CREATE TABLE $schema.notes (n bigint PRIMARY KEY, note bytea NOT NULL) WITH (
	autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);

CREATE FUNCTION $schema.check_term(my_term bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_advisory_xact_lock_shared($batches);
	PERFORM 1 FROM $schema.leader WHERE term = my_term;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'term % has ended: %', my_term, (SELECT format('since %s %s leads', since, holder) FROM $schema.leader)
			USING ERRCODE = '` + stateFenced + `';
	END IF;
END $$;

CREATE FUNCTION $schema.commit_batch(my_term bigint, batch bigint, old_k bytea[], old_n bigint[], cold_k bytea[], new_k bytea[], new_v bytea[])
RETURNS void LANGUAGE plpgsql AS $$
DECLARE found_rows bigint;
BEGIN
	PERFORM $schema.check_term(my_term);
	IF cardinality(old_k) > 0 THEN
		DELETE FROM $schema.kv USING unnest(old_k, old_n) AS o(k, n) WHERE kv.k = o.k AND kv.n = o.n;
		GET DIAGNOSTICS found_rows = ROW_COUNT;
		IF found_rows <> cardinality(old_k) THEN
			RAISE EXCEPTION 'table kv: % of % rows that were written are gone', cardinality(old_k) - found_rows, cardinality(old_k)
				USING ERRCODE = '` + stateCorrupt + `';
		END IF;
	END IF;
	IF cardinality(cold_k) > 0 THEN
		DELETE FROM $schema.kv USING unnest(cold_k) AS o(k) WHERE kv.k = o.k;
	END IF;
	IF cardinality(new_k) > 0 THEN
		INSERT INTO $schema.kv SELECT k, batch, v FROM unnest(new_k, new_v) AS w(k, v);
	END IF;
END $$;

CREATE FUNCTION $schema.append_note(my_term bigint, number bigint, note bytea) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM $schema.check_term(my_term);
	INSERT INTO $schema.notes VALUES (number, note);
END $$;

CREATE FUNCTION $schema.reset_notes(my_term bigint, number bigint, notes bytea[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM $schema.check_term(my_term);
	DELETE FROM $schema.notes;
	INSERT INTO $schema.notes SELECT number + i, note FROM unnest(notes) WITH ORDINALITY AS w(note, i);
END $$;

INSERT INTO $schema.weir (format) VALUES ($format);
INSERT INTO $schema.leader VALUES (0, 'nobody', now());
`

// Error codes that the functions raise.
const (
	stateFenced  = "WEIR1"
	stateCorrupt = "WEIR2"
)

var schemaName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,62}$`)

func validSchema(name string) bool { return schemaName.MatchString(name) }

// quoted returns a schema's name for use in statements.
func quoted(schema string) string { return pgx.Identifier{schema}.Sanitize() }

// lockKeys returns the keys of a store's two advisory locks: the leader holds the
// one, and each batch shares the other, which a takeover has to itself.
func lockKeys(schema string) (leader, batches int64) {
	h := fnv.New64a()
	h.Write([]byte("weir queue store " + schema))
	n := int64(h.Sum64())
	return n &^ 1, n | 1
}

// recogniseSchema reports whether a schema holds a store, and refuses one that holds
// something else or was written by a newer version.
func recogniseSchema(ctx context.Context, c *pgx.Conn, schema string) (bool, error) {
	format := 0
	err := c.QueryRow(ctx, "SELECT format FROM "+quoted(schema)+".weir").Scan(&format)
	switch code := sqlState(err); {
	case err == nil && format > formatVersion:
		return false, fmt.Errorf("%w: format %d, this program knows %d; use a newer program", driver.ErrVersion, format, formatVersion)
	case err == nil:
		return true, nil
	case errors.Is(err, pgx.ErrNoRows), code == "42703": // undefined_column
		return false, fmt.Errorf("%w: its table weir does not say what it should", driver.ErrVersion)
	case code != "3F000" && code != "42P01": // invalid_schema_name, undefined_table
		return false, err
	}
	var other string
	err = c.QueryRow(ctx, "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace($1) LIMIT 1", quoted(schema)).Scan(&other)
	if err == nil {
		return false, fmt.Errorf("%w: it is not empty and not a queue store (it holds %s); choose another", driver.ErrVersion, other)
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return false, err
	}
	return false, nil
}

// makeSchema makes the store's schema if there is none, and checks the one there
// is. The caller holds the leader's lock.
func makeSchema(ctx context.Context, c *pgx.Conn, schema string) error {
	if exists, err := recogniseSchema(ctx, c, schema); err != nil || exists {
		return err
	}
	_, batches := lockKeys(schema)
	sql := strings.NewReplacer("$schema", quoted(schema), "$format", fmt.Sprint(formatVersion), "$batches", fmt.Sprint(batches)).Replace(schemaSQL)
	if _, err := c.PgConn().Exec(ctx, sql).ReadAll(); err != nil { // one transaction
		return fmt.Errorf("make schema: %w", err)
	}
	return nil
}
