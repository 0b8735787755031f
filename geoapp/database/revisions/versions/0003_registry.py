"""sql/migrations/0003_registry"""

from geoapp.database.revisions.sql_revision import sql_revision

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

upgrade, downgrade = sql_revision("0003_registry")
