"""sql/migrations/0014_attention"""

from geoapp.database.revisions.sql_revision import sql_revision

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

upgrade, downgrade = sql_revision("0014_attention")
