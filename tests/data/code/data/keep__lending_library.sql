-- A lending library: titles, copies, readers and loans. Written for PostgreSQL.

CREATE TABLE title (
    title_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name        text NOT NULL,
    author      text NOT NULL,
    first_year  integer CHECK (first_year BETWEEN 1450 AND 2100)
);

CREATE TABLE copy (
    copy_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    title_id    bigint NOT NULL REFERENCES title,
    shelf       text NOT NULL,
    bought_on   date NOT NULL DEFAULT current_date
);

CREATE TABLE reader (
    reader_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    full_name   text NOT NULL,
    joined_on   date NOT NULL
);

CREATE TABLE loan (
    copy_id     bigint NOT NULL REFERENCES copy,
    reader_id   bigint NOT NULL REFERENCES reader,
    lent_on     date NOT NULL,
    due_on      date NOT NULL,
    returned_on date,
    PRIMARY KEY (copy_id, lent_on),
    CHECK (due_on > lent_on)
);

-- A copy can only be lent once at a time.
CREATE UNIQUE INDEX one_open_loan ON loan (copy_id) WHERE returned_on IS NULL;

CREATE VIEW overdue AS
SELECT r.full_name,
       t.name AS title,
       l.due_on,
       current_date - l.due_on AS days_late
FROM loan AS l
JOIN reader AS r USING (reader_id)
JOIN copy AS c USING (copy_id)
JOIN title AS t USING (title_id)
WHERE l.returned_on IS NULL
  AND l.due_on < current_date
ORDER BY days_late DESC, r.full_name;

-- The ten titles that were lent most often in the past year, with the share of all loans.
WITH recent AS (
    SELECT c.title_id, count(*) AS n_loans
    FROM loan AS l
    JOIN copy AS c USING (copy_id)
    WHERE l.lent_on >= current_date - interval '1 year'
    GROUP BY c.title_id
)
SELECT t.name,
       t.author,
       recent.n_loans,
       round(100.0 * recent.n_loans / sum(recent.n_loans) OVER (), 1) AS percent
FROM recent
JOIN title AS t USING (title_id)
ORDER BY recent.n_loans DESC
LIMIT 10;
