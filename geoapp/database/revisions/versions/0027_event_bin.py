"""sql/migrations/0027_event_bin"""

from geoapp.database.revisions.sql_revision import sql_revision

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

upgrade, downgrade = sql_revision("0027_event_bin")
