-- The memory of a workspace. Tables and columns carry the published names, blanks included, so that
-- existing queries work. `run` and `left_files` are our own. Missing numbers are -99.99, missing text "--".

CREATE TABLE raw_frames (
    uuid TEXT PRIMARY KEY,
    instrume TEXT NOT NULL,
    "eso seq arm" TEXT NOT NULL,
    file TEXT NOT NULL,
    "mjd-obs" REAL NOT NULL,
    "mjd-date" TEXT,
    "date-obs" TEXT NOT NULL,
    "night start date" TEXT NOT NULL,
    "night start mjd" REAL,
    "eso dpr catg" TEXT,
    "eso dpr type" TEXT NOT NULL,
    "eso dpr tech" TEXT NOT NULL,
    exptime REAL,
    binning TEXT,
    rospeed TEXT,
    slit TEXT,
    slitmask TEXT,
    object TEXT,
    lamp TEXT,
    template TEXT,
    ra REAL,
    dec REAL,
    filter TEXT,
    absrot REAL,
    "eso tpl name" TEXT,
    "eso tpl start" TEXT,
    "eso tpl expno" INTEGER,
    "eso tpl nexp" INTEGER,
    set_size INTEGER,
    "eso obs id" TEXT,
    "eso obs name" TEXT,
    "eso obs targ name" TEXT,
    "eso obs ntpl" INTEGER,
    "eso obs tplno" INTEGER,
    "eso obs start" TEXT,
    "eso tel az" REAL,
    "eso tel alt" REAL,
    "eso tel parang start" REAL,
    "eso tel parang end" REAL,
    "eso tel ambi fwhm start" REAL,
    "eso tel ambi fwhm end" REAL,
    "eso tel airm start" REAL,
    "eso tel airm end" REAL,
    filepath TEXT NOT NULL UNIQUE,   -- relative to the workspace
    ignore INTEGER NOT NULL DEFAULT 0,
    simulation INTEGER NOT NULL DEFAULT 0,
    processed INTEGER NOT NULL DEFAULT 0,
    set_first_file TEXT,
    gain REAL,
    "nir temp k" REAL,
    "vis temp c" REAL,
    "cp temp c" REAL,
    "afc1 pos1" REAL,
    "afc1 pos2" REAL,
    "afc2 pos1" REAL,
    "afc2 pos2" REAL,
    read_noise REAL,
    file_size INTEGER NOT NULL,      -- size and time of change: a file that keeps both is not read again
    file_mtime INTEGER NOT NULL,
    UNIQUE (file, "eso dpr tech")
);
CREATE INDEX raw_frames_template ON raw_frames ("eso tpl start", "eso tpl expno");
CREATE INDEX raw_frames_mjd ON raw_frames ("mjd-obs");
CREATE INDEX raw_frames_set ON raw_frames (set_first_file);

-- Files under raw/ that hold no frame the pipeline knows, so that they are not read at each scan.
CREATE TABLE left_files (
    filepath TEXT PRIMARY KEY,
    reason TEXT NOT NULL,
    file_size INTEGER NOT NULL,
    file_mtime INTEGER NOT NULL
);

CREATE TABLE raw_frame_sets (
    instrume TEXT,
    "eso seq arm" TEXT,
    "mjd-obs" REAL,
    "mjd-date" TEXT,
    "date-obs" TEXT,
    "night start date" TEXT,
    "night start mjd" REAL,
    "eso dpr catg" TEXT,
    "eso dpr tech" TEXT,
    "eso dpr type" TEXT,
    exptime REAL,
    binning TEXT,
    rospeed TEXT,
    slit TEXT,
    slitmask TEXT,
    lamp TEXT,
    filter TEXT,
    object TEXT,
    recipe TEXT,
    recipe_order INTEGER,
    counts INTEGER,
    "eso tpl nexp" INTEGER,
    "eso tpl name" TEXT,
    "eso tpl start" TEXT,
    "eso obs id" TEXT,
    "eso obs name" TEXT,
    "eso obs start" TEXT,
    set_first_file TEXT,
    sof TEXT UNIQUE,
    template TEXT,
    complete INTEGER NOT NULL DEFAULT -1,
    missing TEXT NOT NULL DEFAULT '',
    gain REAL,
    "nir temp k" REAL,
    "vis temp c" REAL,
    "cp temp c" REAL,
    "afc1 pos1" REAL,
    "afc1 pos2" REAL,
    "afc2 pos1" REAL,
    "afc2 pos2" REAL,
    absrot REAL
);
CREATE INDEX raw_frame_sets_recipe ON raw_frame_sets (recipe, "eso seq arm", complete);

CREATE TABLE product_frames (
    uuid TEXT PRIMARY KEY,
    instrume TEXT,
    "eso seq arm" TEXT,
    file TEXT NOT NULL,
    sof TEXT NOT NULL,
    "mjd-obs" REAL,
    "mjd-date" TEXT,
    "night start date" TEXT,
    "night start mjd" REAL,
    "eso pro catg" TEXT,
    "eso pro type" TEXT DEFAULT 'REDUCED',
    "eso pro tech" TEXT,
    exptime REAL,
    binning TEXT,
    rospeed TEXT,
    slit TEXT,
    slitmask TEXT,
    lamp TEXT,
    recipe TEXT NOT NULL,
    recipe_order INTEGER,
    template TEXT,
    filter TEXT,
    object TEXT,
    "eso tpl name" TEXT,
    "eso tpl start" TEXT,
    "eso tpl nexp" INTEGER,
    "eso obs name" TEXT,
    "eso obs start" TEXT,
    "eso obs id" TEXT,
    set_first_file TEXT,
    complete INTEGER NOT NULL DEFAULT 0,
    status TEXT,                     -- in the current session; one status_<session> column for each
    status_base TEXT,
    filepath TEXT NOT NULL,
    gain REAL,
    error_message TEXT,
    "nir temp k" REAL,
    "vis temp c" REAL,
    "cp temp c" REAL,
    "afc1 pos1" REAL,
    "afc1 pos2" REAL,
    "afc2 pos1" REAL,
    "afc2 pos2" REAL,
    absrot REAL,
    UNIQUE (file, recipe)
);
CREATE INDEX product_frames_sof ON product_frames (sof, status);

CREATE TABLE sof_map_base (
    file TEXT NOT NULL,
    tag TEXT NOT NULL,
    sof TEXT NOT NULL,
    filepath TEXT NOT NULL,
    complete INTEGER NOT NULL,
    UNIQUE (file, sof)
);
CREATE VIEW sof_map AS SELECT * FROM sof_map_base;

CREATE TABLE quality_control (
    soxspipe_recipe TEXT NOT NULL,
    qc_name TEXT NOT NULL,
    qc_value REAL,
    qc_unit TEXT,
    qc_comment TEXT,
    obs_date_utc TEXT,
    reduction_date_utc TEXT,
    sof_name TEXT NOT NULL,
    qc_order TEXT NOT NULL DEFAULT '-1',
    qc_flag TEXT,
    qc_value_min REAL,
    qc_value_max REAL,
    UNIQUE (qc_name, sof_name, qc_order)
);
CREATE INDEX quality_control_name ON quality_control (qc_name);

-- One row for each run of a recipe in a session; the newest row of a SOF is its state.
CREATE TABLE run (
    id INTEGER PRIMARY KEY,
    session TEXT NOT NULL,
    recipe TEXT NOT NULL,
    arm TEXT,
    sof TEXT NOT NULL,
    signature TEXT NOT NULL,         -- of the SOF and of everything upstream; "" if not the planned SOF
    settings_sha TEXT NOT NULL,
    state TEXT NOT NULL,             -- passed, failed (a metric is out of its range), error
    products TEXT NOT NULL DEFAULT '', -- paths of the files written, one a line
    message TEXT,
    hint TEXT,
    exit_status INTEGER NOT NULL,
    seconds REAL,
    peak_memory_mb REAL,
    started TEXT,
    version TEXT
);
CREATE INDEX run_sof ON run (session, sof);

CREATE VIEW run_latest AS
    SELECT * FROM run WHERE id IN (SELECT max(id) FROM run GROUP BY session, sof);
CREATE VIEW raw_frames_valid AS
    SELECT * FROM raw_frames WHERE ignore = 0 AND simulation = 0;
CREATE VIEW raw_frames_sorted AS
    SELECT * FROM raw_frames ORDER BY "eso seq arm", "mjd-obs";
CREATE VIEW raw_frames_incomplete AS
    SELECT * FROM raw_frame_sets WHERE complete = 0;
CREATE VIEW failed_raw_frame AS
    SELECT r.*, m.sof FROM raw_frames r JOIN sof_map m ON m.filepath = './' || r.filepath
    WHERE m.sof IN (SELECT sof FROM product_frames WHERE status = 'fail');
CREATE VIEW failed_products AS
    SELECT * FROM product_frames WHERE status = 'fail';
CREATE VIEW incomplete_products AS
    SELECT * FROM product_frames WHERE complete = 0;
CREATE VIEW product_frames_plus AS
    SELECT p.*, s."eso dpr catg", s."eso dpr tech", s."eso dpr type"
    FROM product_frames p LEFT JOIN raw_frame_sets s ON s.sof = p.sof;
CREATE VIEW quality_control_plus AS
    SELECT q.*, s."eso seq arm", s."night start date", s."mjd-obs", s.binning, s.slit, s.exptime
    FROM quality_control q LEFT JOIN raw_frame_sets s ON s.sof = q.sof_name;
