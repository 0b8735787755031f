"""sql/migrations/0010_more_registers"""

from geoapp.database.revisions.sql_revision import sql_revision

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

upgrade, downgrade = sql_revision("0010_more_registers")
