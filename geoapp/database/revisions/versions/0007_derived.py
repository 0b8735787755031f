"""sql/migrations/0007_derived"""

from geoapp.database.revisions.sql_revision import sql_revision

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

upgrade, downgrade = sql_revision("0007_derived")
