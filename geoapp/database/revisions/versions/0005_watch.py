"""sql/migrations/0005_watch"""

from geoapp.database.revisions.sql_revision import sql_revision

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

upgrade, downgrade = sql_revision("0005_watch")
