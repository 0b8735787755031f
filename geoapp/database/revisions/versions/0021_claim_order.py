"""sql/migrations/0021_claim_order"""

from geoapp.database.revisions.sql_revision import sql_revision

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

upgrade, downgrade = sql_revision("0021_claim_order")
