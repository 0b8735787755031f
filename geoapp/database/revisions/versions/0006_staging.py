"""sql/migrations/0006_staging"""

from geoapp.database.revisions.sql_revision import sql_revision

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

upgrade, downgrade = sql_revision("0006_staging")
