"""sql/migrations/0013_ledger"""

from geoapp.database.revisions.sql_revision import sql_revision

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

upgrade, downgrade = sql_revision("0013_ledger")
